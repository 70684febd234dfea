import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.worker.scenarios import measure_growth, run_offline, run_paced, run_server
from mixkd.runtime.encoding import Text


class TimedSubject:
    """Takes at least 4 ms a text, and keeps what it allocates if told to."""

    def __init__(self, *, seconds: float = 0.004, keeps_bytes: int = 0) -> None:
        self.seconds, self.keeps_bytes = seconds, keeps_bytes
        self.kept: list[bytes] = []
        self.calls = 0

    def encode(self, text: Text) -> Text:
        return text

    def answer(self, encoded: Any) -> NDArray[Any]:
        time.sleep(self.seconds)
        self.calls += 1
        if self.keeps_bytes:
            self.kept.append(b"x" * self.keeps_bytes)
        return np.zeros(2)

    def input_length(self, encoded: Any) -> int:
        return 1

    def logits(self, texts: Sequence[Text]) -> NDArray[Any]:
        return np.stack([self.answer(text) for text in texts])


def test_server_latency_counts_the_waiting_in_line() -> None:
    # 1,000 arrivals a second on 4 ms of work each: the line grows by 3 ms a text.
    latencies = run_server(TimedSubject(), ["a"] * 40, rate_per_s=1000, seed=1)
    assert latencies[-1] > 40 * 4e6 - 100e6
    assert latencies[-1] > latencies[0]
    assert min(latencies) >= 4e6


def test_paced_texts_wait_outside_of_their_latency() -> None:
    start = time.perf_counter()
    block = run_paced(TimedSubject(), ["a"] * 5, gap_s=0.05)
    assert time.perf_counter() - start >= 5 * 0.05
    assert len(block.total_ns) == 5
    assert min(block.total_ns) < 50e6


def test_offline_answers_every_text_once() -> None:
    subject = TimedSubject()
    assert run_offline(subject, ["a", "b", "c"]) >= 3 * 4e6
    assert subject.calls == 3


def test_growth_sees_memory_that_is_kept() -> None:
    # More than a process that ran other tests before is likely to have free already.
    subject = TimedSubject(seconds=0, keeps_bytes=1_000_000)
    growth = measure_growth(subject, ["a", "b"], calls=300, limit_s=60)
    assert growth.calls == 300
    assert growth.before_bytes is not None
    assert growth.after_bytes is not None
    assert growth.after_bytes - growth.before_bytes > 20_000_000


def test_growth_ends_when_the_time_is_up() -> None:
    growth = measure_growth(TimedSubject(seconds=0.0001), ["a"], calls=10**9, limit_s=0)
    assert growth.calls == 0


@pytest.mark.slow
def test_full_measurement_has_scenarios_and_cold_starts(plan: Plan) -> None:
    config = replace(
        plan.config,
        samples=664,
        scenarios=True,
        paced_samples=16,
        server_seconds=0.1,
        growth_calls=200,
        cold_starts=1,
        curve_samples=0,
    )
    int8 = tuple(variant for variant in plan.variants if variant.name == "student-int8")
    sample = replace(plan.sample, timed=plan.sample.timed * 11, curve={})
    report = measure(replace(plan, config=config, variants=int8, sample=sample))
    (row,) = report.rows
    scenarios, cold = row.scenarios, row.cold_start
    assert row.latency is not None
    assert row.latency.p99_ms is not None
    assert scenarios is not None
    assert scenarios.offline_texts_per_s > 0
    assert len(scenarios.paced_ns) == 16
    assert scenarios.paced_p90_ms is None
    assert scenarios.growth_calls == 200
    # A model of some kilobytes answers hundreds a second well within 50 ms, on any machine.
    assert scenarios.server_rate_per_s is not None
    assert scenarios.server_p99_ms is not None
    assert scenarios.server_p99_ms <= scenarios.server_target_ms
    assert cold is not None
    assert len(cold.warm_ms) == 1
    assert cold.warm_ms[0] > row.latency.p50_ms.value
    assert len(cold.evicted_ms) == len(cold.read_bytes)
