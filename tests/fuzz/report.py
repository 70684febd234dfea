"""Fuzzes `report.json`: a mutant is read, and compared with the report that it was made from.

Allowed: one line that refuses it, or a comparison of finite numbers.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mixkd.bench.compare import compare_reports
from mixkd.bench.config import BenchConfig
from mixkd.bench.measure import measure
from mixkd.bench.render.text import render_comparison
from mixkd.bench.report.files import read_report, to_json
from mixkd.bench.report.schema import Report
from tests.fuzz.device import make_plan, played
from tests.fuzz.harness import main
from tests.fuzz.json_mutants import mutate

TRIAL_SECONDS = 60.0
"""A comparison may take some 20 s, `mixkd.bench.compare` says."""


@dataclass(frozen=True)
class State:
    report: Report
    body: dict[str, Any]
    file: Path


def prepare(folder: Path) -> State:
    config = BenchConfig(
        samples=64,
        block=8,
        curve_samples=4,
        resamples=100,
        scenarios=True,
        paced_samples=4,
        server_seconds=0.0,
    )
    with played(Random(0), forged=None):
        report = measure(make_plan(config, folder))
    return State(report, json.loads(to_json(report)), folder / "report.json")


def trial(state: State, rng: Random) -> None:
    state.file.write_bytes(mutate(state.body, rng))
    mutant = read_report(state.file)
    state.file.write_text(to_json(mutant), encoding="utf-8")
    assert read_report(state.file) == mutant
    pair = (state.report, mutant) if rng.random() < 0.5 else (mutant, state.report)
    comparison = compare_reports(*pair)
    for change in comparison.changes:
        found = change.difference
        assert all(map(math.isfinite, (change.old, change.new, found.value, found.low, found.high))), change
    render_comparison(comparison)


if __name__ == "__main__":
    main("tests.fuzz.report")
