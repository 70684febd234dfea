"""Other ways of calling than one text after the other: all at once, with pauses, at random times.

They follow MLPerf's scenarios, and run in the worker, on the subject that `timing` times.
"""

import gc
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from mixkd.bench.decode import Count, Positive
from mixkd.bench.worker.counters import read_memory
from mixkd.bench.worker.timing import Block, Subject, time_block
from mixkd.runtime.encoding import Text

_SETTLING_CALLS = 500
"""Calls before growth is counted: by then, most lengths were seen and buffers have their final size."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory over many varied calls."""

    calls: Positive
    before_bytes: Count | None
    after_bytes: Count | None

    @property
    def grown_bytes(self) -> int | None:
        """The difference; None where the system has no such figure."""
        if self.before_bytes is None or self.after_bytes is None:
            return None
        return self.after_bytes - self.before_bytes


def run_offline(subject: Subject, texts: Sequence[Text]) -> int:
    """Answer all texts, handed over at once; return nanoseconds."""
    start = time.perf_counter_ns()
    subject.logits(texts)
    return time.perf_counter_ns() - start


def run_paced(subject: Subject, texts: Sequence[Text], *, gap_s: float) -> Block:
    """Time texts with an idle gap before each, in which caches are evicted and threads fall asleep."""
    blocks = []
    for text in texts:
        time.sleep(gap_s)
        blocks.append(time_block(subject, [text]))
    return Block(
        [block.tokenize_ns[0] for block in blocks],
        [block.total_ns[0] for block in blocks],
        sum(block.cpu_ns for block in blocks),
    )


def run_server(subject: Subject, texts: Sequence[Text], *, rate_per_s: float, seed: int) -> list[int]:
    """Answer texts that arrive at Poisson times; return each latency from its arrival, in nanoseconds.

    A text that arrives while another is answered waits, and the waiting counts.
    """
    latencies = []
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter_ns()
        for text, arrival in zip(texts, _poisson_ns(rate_per_s, seed), strict=False):
            pause = start + arrival - time.perf_counter_ns()
            if pause > 0:
                time.sleep(pause / 1e9)
            subject.answer(subject.encode(text))
            latencies.append(time.perf_counter_ns() - start - arrival)
    finally:
        gc.enable()
    return latencies


def measure_growth(subject: Subject, texts: Sequence[Text], *, calls: int, limit_s: float) -> Growth:
    """Compare resident memory before and after many varied calls; ends early when the time is up."""
    supply, deadline = cycle(texts), time.monotonic() + limit_s
    for _ in range(_SETTLING_CALLS):
        subject.answer(subject.encode(next(supply)))
    before = read_memory().rss_bytes
    made = 0
    while made < calls and (made % 100 or time.monotonic() < deadline):
        subject.answer(subject.encode(next(supply)))
        made += 1
    return Growth(made, before, read_memory().rss_bytes)


def _poisson_ns(rate_per_s: float, seed: int) -> Iterator[int]:
    rng, arrival = random.Random(seed), 0.0
    while True:
        arrival += rng.expovariate(rate_per_s)
        yield round(arrival * 1e9)
