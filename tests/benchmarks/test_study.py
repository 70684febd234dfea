"""The study's tables: what they say is in the lines, and README.md holds them as they are."""

import math
from collections import Counter
from typing import Any

import pytest
from benchmarks import defaults
from benchmarks.lines import Lines
from benchmarks.mixkd_study import LINES, METHODS, SEEDS, cells
from benchmarks.sets import SETS
from benchmarks.study_report import interval, paired, read_between, tables


def test_readme_holds_the_tables_of_the_lines() -> None:
    assert read_between("study") == tables(LINES.read()).strip()


def test_readme_holds_the_table_of_the_defaults() -> None:
    assert read_between("defaults") == defaults.table(defaults.LINES.read()).strip()


@pytest.mark.parametrize("study", [LINES, defaults.LINES])
def test_no_cell_stands_twice(study: Lines) -> None:
    assert max(Counter(str(line["cell"]) for line in study.read()).values(), default=1) == 1


def test_every_beginning_of_the_study_is_balanced() -> None:
    order = list(cells(SEEDS))
    assert len(order) == len(set(order)) == SEEDS * len(SETS) * len(METHODS) == 210
    for end in range(0, len(order), len(METHODS)):
        done = Counter((cell.data, cell.method) for cell in order[:end])
        counts = [done[data, method] for data in SETS for method in METHODS]
        assert max(counts) - min(counts) <= 1


def line(method: str, seed: int, score: float) -> dict[str, Any]:
    cell = {"data": "rte", "amount": "little", "layers": 3, "method": method, "seed": seed}
    return {
        "cell": cell,
        "score": score,
        "split": "validation",
        "teacher": {"validation": 0.7},
        "steps": 400,
        "processor": "P",
    }


def test_table_says_mean_deviation_difference_and_who_won() -> None:
    scores = {"kd": (0.60, 0.61, 0.62), "mixkd": (0.61, 0.62, 0.63)}
    found = tables([line(method, seed, x) for method, xs in scores.items() for seed, x in enumerate(xs)])
    assert "| rte | 20 % | 70.0 | 61.00 ± 1.00 | 62.00 ± 1.00 |" in found
    assert "| rte | **+1.00 ± 0.00** (3:0) |" in found


def test_differences_are_taken_over_equal_seeds() -> None:
    assert paired({0: 0.5, 1: 0.7, 3: 0.1}, {0: 0.4, 1: 0.8, 2: 0.9}) == pytest.approx([10, -10])


def test_interval_is_students() -> None:
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(4.302653 * 1 / math.sqrt(3))
    assert interval([1.0]) == math.inf
