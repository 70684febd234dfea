"""Measures the variants on one target: latency in turns, then lengths, scenarios and quality.

A variant that fails, at loading or later, becomes absent with the reason; the others continue.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import TypeVar

import numpy as np

from mixkd.bench.drive.caps import smallest_cap
from mixkd.bench.drive.cold import measure_cold_start
from mixkd.bench.drive.noise import compare_readings
from mixkd.bench.drive.processes import Observer, WorkerProcess
from mixkd.bench.drive.scenario_runs import run_scenarios
from mixkd.bench.measurement import Found, Plan, Raw
from mixkd.bench.report.figures import ColdStart, Evidence
from mixkd.bench.report.intervals import LEAST_SAMPLES
from mixkd.bench.report.schema import Absent, TargetRecord
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.bench.targets.emulate import EmulatedTarget
from mixkd.bench.targets.profiles import ProfileTarget
from mixkd.bench.worker.machine import Reading
from mixkd.bench.worker.timing import Block
from mixkd.errors import MeasureError
from mixkd.progress import Progress
from mixkd.runtime.encoding import Text
from mixkd.runtime.threads import available_threads

_T = TypeVar("_T")

LEAST_JUDGED = 64
"""Rows that are judged at least, however slow a variant: an accuracy's interval is then 24 points wide."""

_LOGITS_PER_REQUEST = 250
"""Few enough that the progress moves and an answer stays small."""


def measure_on(target: Target, plan: Plan, progress: Progress) -> Found:
    """Measure the plan's variants on one target.

    Returns:
        What was found; a target that can't be reached gives no record and one absence that says why.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(target)
            turns = _Turns(target, plan, progress, stack)
            return turns.run()
        except MeasureError as error:
            reason = str(error).removeprefix(f"{target.name}: ")
            return Found(None, (), (Absent(label="", reason=reason, target=target.name),))


class _Turns:
    """The running workers of one target and what they have given so far."""

    def __init__(self, target: Target, plan: Plan, progress: Progress, stack: ExitStack) -> None:
        self._target, self._plan, self._progress, self._stack = target, plan, progress, stack
        self._pairs: list[tuple[WorkerProcess, Raw]] = []
        self._absent: list[Absent] = []

    def run(self) -> Found:
        """Run every phase and return the results."""
        timed = self._target.evidence is not Evidence.EMULATED
        cold = self._cold_starts() if timed else {}
        observer = self._stack.enter_context(Observer(self._target))
        environment = observer.environment()
        self._load()
        if not self._pairs:
            return Found(None, (), tuple(self._absent))
        if isinstance(self._target, EmulatedTarget):
            # An emulated process reads this machine's /proc.
            environment = replace(environment, processor=f"{self._target.processor.cpu}, emulated", isa=())
        noise = None
        if timed:
            pids = [worker.pid for worker, _ in self._pairs]
            before = _counters(observer, pids)
            self._time_single_texts()
            noise = compare_readings(before, _counters(observer, pids), governor=environment.governor)
            self._time_lengths()
            self._run_scenarios()
        self._judge()
        for _, raw in self._pairs:
            raw.cold_start = cold.get(raw.variant.name)
        record = TargetRecord(
            name=self._target.name, evidence=self._target.evidence, environment=environment, noise=noise
        )
        return Found(record, tuple(raw for _, raw in self._pairs), tuple(self._absent))

    def _cold_starts(self) -> dict[str, ColdStart]:
        config = self._plan.config
        if not config.cold_starts or not isinstance(self._target, LocalTarget):
            return {}
        found = {}
        for number, variant in enumerate(self._plan.variants):
            self._progress(f"starting {variant.name} cold", number, len(self._plan.variants))
            try:
                found[variant.name] = measure_cold_start(
                    variant, self._first, threads=config.threads, repeats=config.cold_starts
                )
            except MeasureError:
                continue  # loading it later fails too, and then the reason is kept
        return found

    def _load(self) -> None:
        """Load one worker after the other, so that they don't disturb each other's loading."""
        for number, variant in enumerate(self._plan.variants):
            self._progress(f"loading {variant.name}", number, len(self._plan.variants))
            try:
                worker = WorkerProcess(variant, self._target, threads=self._plan.config.threads)
                self._stack.enter_context(worker)
                self._pairs.append((worker, Raw(variant, worker.load(self._first))))
            except MeasureError as error:
                self._give_up(variant.name, error)

    def _time_single_texts(self) -> None:
        sample, config = self._plan.sample, self._plan.config
        blocks = sample.blocks(config.block)
        self._warm([sample.texts[i] for i in sample.timed])
        start = time.monotonic()
        for number, texts in enumerate(cycle(blocks)):
            if self._timed_enough(number, time.monotonic() - start):
                break
            self._progress("timing single texts", min(number, len(blocks)), len(blocks))
            self._time(number, texts, lambda raw: raw.blocks)
        # Read before longer texts or batches raise the peak.
        self._each(0, _read_memory)
        if isinstance(self._target, ProfileTarget):
            for _, raw in self._pairs:
                raw.smallest_cap_bytes = smallest_cap(
                    raw.variant, self._target, self._first, threads=config.threads
                )

    def _timed_enough(self, blocks: int, seconds: float) -> bool:
        """Return whether each variant was timed enough: so many blocks each, in so many seconds in all."""
        config = self._plan.config
        if config.max_seconds is not None and seconds > config.max_seconds:
            return blocks * config.block >= LEAST_SAMPLES[0.9] or not self._pairs
        # The seconds are shared by all variants; min_seconds is asked of each.
        return blocks * config.block >= config.samples and all(
            _busy_seconds(raw) >= config.min_seconds for _, raw in self._pairs
        )

    def _time_lengths(self) -> None:
        sample, size = self._plan.sample, self._plan.config.block
        for length, made in sample.curve.items():
            self._progress("timing by length", length, max(sample.curve))
            self._warm(made[:1])
            for _, raw in self._pairs:
                raw.curve[length] = []
            for number, start in enumerate(range(0, len(made), size)):
                self._time(number, made[start : start + size], partial(_curve_blocks, length))

    def _run_scenarios(self) -> None:
        if not self._plan.config.scenarios:
            return
        texts = [self._plan.sample.texts[i] for i in self._plan.sample.timed]
        total, done = 4 * len(self._pairs), 0

        def run(worker: WorkerProcess, raw: Raw) -> None:
            def tell(scenario: str) -> None:
                nonlocal done
                self._progress(f"{scenario} of {raw.variant.name}", done, total)
                done += 1

            raw.scenarios = run_scenarios(
                worker, texts, self._plan.config, mean_ms=_mean_ms(raw), progress=tell
            )

        self._each(0, run)

    def _judge(self) -> None:
        """Answer the judged rows; nothing is timed, so the workers run at the same time."""
        judged = self._judged()
        texts = [self._plan.sample.texts[i] for i in judged]
        total, done = len(self._pairs) * len(texts), 0

        def answer(worker: WorkerProcess, raw: Raw) -> None:
            nonlocal done
            answers = []
            for start in range(0, len(texts), _LOGITS_PER_REQUEST):
                some = texts[start : start + _LOGITS_PER_REQUEST]
                answers.append(worker.logits(some))
                done += len(some)
                self._progress("judging answers", done, total)
            raw.logits, raw.judged = np.concatenate(answers), judged

        with ThreadPoolExecutor(max_workers=available_threads()) as pool:
            futures = [(pair, pool.submit(answer, *pair)) for pair in self._pairs]
        for pair, future in futures:
            error = future.exception()
            if isinstance(error, MeasureError):
                self._pairs.remove(pair)
                self._give_up(pair[1].variant.name, error)
            elif error:
                raise error

    def _judged(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the positions that are judged: all, or as many, evenly spaced, as there is time for."""
        config, count = self._plan.config, len(self._plan.sample.texts)
        most = count
        if self._target.evidence is Evidence.EMULATED:
            most = config.emulated_rows
        elif config.judge_seconds is not None and self._pairs:
            slowest_ms = max(_mean_ms(raw) for _, raw in self._pairs)
            most = max(LEAST_JUDGED, round(1000 * config.judge_seconds / slowest_ms))
        return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)

    def _warm(self, texts: Sequence[Text]) -> None:
        self._each(0, lambda worker, _: worker.warm(texts))

    def _time(self, turn: int, texts: Sequence[Text], where: Callable[[Raw], list[Block]]) -> None:
        self._each(turn, lambda worker, raw: where(raw).append(worker.time(texts)))

    def _each(self, turn: int, do: Callable[[WorkerProcess, Raw], object]) -> None:
        """Do something with every worker, in an order that changes with each turn."""
        turn %= max(len(self._pairs), 1)
        for pair in self._pairs[turn:] + self._pairs[:turn]:
            try:
                do(*pair)
            except MeasureError as error:
                self._pairs.remove(pair)
                self._give_up(pair[1].variant.name, error)

    def _give_up(self, label: str, error: MeasureError) -> None:
        reason = str(error).removeprefix(f"{label}: ")
        self._absent.append(Absent(label=label, reason=reason, target=self._target.name))

    @property
    def _first(self) -> Text:
        return self._plan.sample.texts[self._plan.sample.timed[0]]


def _counters(observer: Observer, pids: list[int]) -> Reading | None:
    try:
        return observer.counters(pids)
    except MeasureError:
        return None  # a dropped connection: every worker will say so


def _read_memory(worker: WorkerProcess, raw: Raw) -> None:
    raw.memory = worker.memory()


def _busy_seconds(raw: Raw) -> float:
    return sum(sum(block.total_ns) for block in raw.blocks) / 1e9


def _mean_ms(raw: Raw) -> float:
    return float(np.mean([block.total_ns for block in raw.blocks])) / 1e6


def _curve_blocks(length: int, raw: Raw) -> list[Block]:
    return raw.curve[length]
