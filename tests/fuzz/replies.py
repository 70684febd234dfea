"""Fuzzes the answers of a device: a single one, or one among those of a whole measurement.

Allowed: one line that refuses it, or numbers that can be true. A measurement gives a report all the same, in
which the forger is absent with a reason in one line, and every form of the report is written.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
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
from mixkd.errors import MkdError
from tests.fuzz.device import make_plan, played
from tests.fuzz.harness import Outcome

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


@cache
def _plan(*, scenarios: bool) -> Plan:
    config = BenchConfig(
        samples=16, block=4, curve_samples=0, resamples=100, paced_samples=4, server_seconds=0
    )
    return make_plan(replace(config, scenarios=scenarios))


def attempt(seed: int, folder: Path) -> Outcome:
    """Forge one answer; what can't be true is an `AssertionError`."""
    rng = Random(seed)
    try:
        if rng.random() < _WHOLE:
            _whole(folder, rng)
        else:
            _single(rng)
    except MkdError as error:
        return Outcome.REFUSED if str(error).isprintable() else Outcome.WRONG
    return Outcome.RIGHT


def _single(rng: Random) -> None:
    variant = _plan(scenarios=False).variants[0]
    with played(rng, forged=0):
        answer = rng.choice(_ASKS)(WorkerProcess(variant, LocalTarget(), threads=1))
    if isinstance(answer, np.ndarray):
        assert answer.shape == (3, 5)
        assert np.isfinite(answer).all()
    elif hasattr(answer, "total_ns") or isinstance(answer, list):
        times = answer if isinstance(answer, list) else answer.total_ns
        assert len(times) == 3
        assert min(times) >= 0
    _check_numbers(answer)


def _whole(folder: Path, rng: Random) -> None:
    plan = _plan(scenarios=rng.random() < 0.1)
    with played(rng, forged=rng.randrange(_MOST_ANSWERS)):
        report = measure(plan)
    write_report(report, folder)
    assert read_report(folder / "report.json") == report
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
        assert absent.reason.isprintable()
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
