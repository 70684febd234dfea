"""The studies run to their end, and README.md holds the tables of their lines as they are."""

import argparse
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benchmarks import defaults, mixkd_study
from benchmarks.lines import Lines
from benchmarks.mixkd_study import LINES, METHODS, SEEDS, cells
from benchmarks.sets import SETS
from benchmarks.study_report import interval, paired, read_between, tables

from tests.tiny import WORDS, tiny_classifier, write_student


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


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Two tiny sets, a tiny encoder, a few steps: everything else is as the studies run it."""
    encoder = write_student(tmp_path / "encoder", tiny_classifier("bert", num_hidden_layers=4))
    for name in ("cola", "stsb"):
        (tmp_path / name).mkdir()
        for split in ("train", "validation", "test"):
            rows = [f"{WORDS[i % 7]}\t{'ab'[i % 2] if name == 'cola' else i % 5 + 0.5}" for i in range(40)]
            text = "\n".join(["text\tlabel", *rows]) + "\n"
            (tmp_path / name / f"{split}.tsv").write_text(text, encoding="utf-8")
    for study in (mixkd_study, defaults):
        monkeypatch.setattr(study, "MINILM", str(encoder))
        monkeypatch.setattr(study, "MAX_LENGTH", 32)
        monkeypatch.setattr(study, "SETS", {name: SETS[name] for name in ("cola", "stsb")})
        monkeypatch.setattr(study, "LINES", Lines(tmp_path / f"{study.__name__}.jsonl"))
    monkeypatch.setattr(mixkd_study, "STEPS", 3)
    monkeypatch.setattr(defaults, "EPOCHS_AND_BATCH", ((1, 32), (2, 16)))
    return argparse.Namespace(
        data=tmp_path, work=tmp_path / "work", hours=1.0, seeds=1, part="1/1", only=None, stage=None, set=None
    )


@pytest.mark.slow
def test_study_runs_every_cell_once(places: argparse.Namespace) -> None:
    for part in ("1/2", "2/2", "1/1"):  # the last one finds nothing to do
        places.part = part
        mixkd_study.run(places)
    found = mixkd_study.LINES.read()
    assert [line["cell"]["method"] for line in found] == [*METHODS, *METHODS]
    assert {line["steps"] for line in found} == {3}
    asked = {line["cell"]["method"]: line["teacher_queries"] for line in found}
    assert asked == {"finetune": 0, "kd": 48, "pkd": 48, "tmkd": 48, "mixkd": 48, "mixkd+kd": 96}
    assert all(line["processor"] for line in found)
    assert "| cola | 10 % |" in tables(found)


@pytest.mark.slow
def test_every_training_of_the_defaults_is_run_once_with_its_own_options(places: argparse.Namespace) -> None:
    asked = list(defaults.cells())
    defaults.run(places)
    defaults.run(places)  # finds nothing to do
    found = defaults.LINES.read()
    assert [line["cell"] for line in found] == asked
    for line in found:
        for name, value in line["cell"].get("options", {}).items():
            assert line["chosen"][name] == value
    assert {line["chosen"]["epochs"] for line in found if line["cell"]["recipe"] == "default"} == {30}
    assert "| cola | teacher |" in defaults.table(found)
