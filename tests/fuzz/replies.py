"""Fuzzes the answers of a device: a single one, or one among those of a whole measurement.

Allowed: one line that refuses it, or numbers that can be true. A measurement gives a report all the same, in
which the forger is absent with a reason in one line, and every form of the report is written.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from mixkd.bench.config import BenchConfig
from mixkd.bench.drive.processes import Observer, WorkerProcess
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.render.text import render_table
from mixkd.bench.report.files import read_report, write_report
from mixkd.bench.report.schema import Report
from mixkd.bench.targets.base import LocalTarget
from tests.fuzz.device import make_plan, played
from tests.fuzz.harness import main

_WHOLE = 0.2
"""Share of the mutants that are tried in a whole measurement: each takes some 25 ms."""

_MOST_ANSWERS = 40
"""More than a measurement with every scenario has, so that a few are forged in none."""

_TEXTS = ("one", "two", "three")
_ASKS: tuple[Callable[[WorkerProcess], Any], ...] = (
    lambda worker: worker.load("one"),
    lambda worker: worker.warm(_TEXTS),
    lambda worker: worker.time(_TEXTS),
    lambda worker: worker.paced(_TEXTS, gap_s=0.0),
    lambda worker: worker.memory(),
    lambda worker: worker.logits(_TEXTS),
    lambda worker: worker.offline(_TEXTS),
    lambda worker: worker.server(_TEXTS, rate_per_s=1.0, seed=0),
    lambda worker: worker.growth(_TEXTS, calls=5, limit_s=1.0),
    lambda _: Observer(LocalTarget()).environment(),
    lambda _: Observer(LocalTarget()).counters([1]),
)


@dataclass(frozen=True)
class State:
    folder: Path
    plan: Plan
    scenarios: Plan


def prepare(folder: Path) -> State:
    config = BenchConfig(
        samples=16, block=4, curve_samples=0, resamples=100, paced_samples=4, server_seconds=0
    )
    plan = make_plan(config, folder)
    return State(folder, plan, replace(plan, config=replace(config, scenarios=True)))


def trial(state: State, rng: Random) -> None:
    if rng.random() < _WHOLE:
        _whole(state, rng)
    else:
        _single(state, rng)


def _single(state: State, rng: Random) -> None:
    with played(rng, forged=0):
        answer = rng.choice(_ASKS)(WorkerProcess(state.plan.variants[0], LocalTarget(), threads=1))
    if isinstance(answer, np.ndarray):
        assert answer.shape == (3, 5)
        assert np.isfinite(answer).all()
    elif hasattr(answer, "total_ns") or isinstance(answer, list):
        times = answer if isinstance(answer, list) else answer.total_ns
        assert len(times) == 3
        assert min(times) >= 0
    _check_numbers(answer)


def _whole(state: State, rng: Random) -> None:
    plan = state.scenarios if rng.random() < 0.1 else state.plan
    with played(rng, forged=rng.randrange(_MOST_ANSWERS)):
        report = measure(plan)
    write_report(report, state.folder)
    assert read_report(state.folder / "report.json") == report
    render_table(report)
    _check(report)


def _check(report: Report) -> None:
    for row in report.rows:
        assert row.quality.rows == 16
        assert row.latency is not None
        assert row.latency.p50_ms.value > 0
        assert row.samples is not None
        assert len(row.samples.total_ns) == 16
    for absent in report.absent:
        assert len(absent.reason.splitlines()) == 1
        assert len(absent.reason) < 1000
    _check_numbers(report)


def _check_numbers(value: Any) -> None:
    """Assert that a value holds finite numbers, texts and nothing else."""
    if isinstance(value, (int, float)):
        assert math.isfinite(value)
    elif isinstance(value, dict):
        _check_numbers(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_numbers(item)
    elif hasattr(value, "__dataclass_fields__"):
        _check_numbers([getattr(value, name) for name in value.__dataclass_fields__])
    else:
        assert value is None or isinstance(value, (str, np.ndarray)), value


if __name__ == "__main__":
    main("tests.fuzz.replies")
