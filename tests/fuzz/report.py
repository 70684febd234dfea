"""Fuzzes `report.json`: a mutant is read, and compared with the report that it was made from.

Allowed: one line that refuses it, or a comparison of finite numbers.
"""

import json
import math
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from mixkd.bench.compare import Comparison, compare_reports
from mixkd.bench.config import BenchConfig
from mixkd.bench.measure import measure
from mixkd.bench.render.text import render_comparison
from mixkd.bench.report.files import read_report, to_json
from mixkd.bench.report.schema import Report
from mixkd.errors import MkdError
from tests.fuzz.device import make_plan, played
from tests.fuzz.harness import Outcome
from tests.fuzz.json_mutants import mutate


@cache
def _original() -> tuple[Report, dict[str, Any]]:
    config = BenchConfig(
        samples=64, block=8, curve_samples=4, resamples=100, scenarios=True, paced_samples=4, server_seconds=0
    )
    with played(Random(0), forged=None):
        report = measure(make_plan(config))
    return report, json.loads(to_json(report))


def attempt(seed: int, folder: Path) -> Outcome:
    """Read and compare one mutant; what can't be true is an `AssertionError`."""
    rng = Random(seed)
    report, body = _original()
    file = folder / "report.json"
    file.write_bytes(mutate(body, rng))
    try:
        mutant = read_report(file)
        file.write_text(to_json(mutant), encoding="utf-8")
        assert read_report(file) == mutant
        pair = (report, mutant) if rng.random() < 0.5 else (mutant, report)
        _check(compare_reports(*pair))
    except MkdError as error:
        return Outcome.REFUSED if str(error).isprintable() else Outcome.WRONG
    return Outcome.RIGHT


def _check(comparison: Comparison) -> None:
    for change in comparison.changes:
        found = change.difference
        assert all(map(math.isfinite, (change.old, change.new, found.value, found.low, found.high))), change
    render_comparison(comparison)
