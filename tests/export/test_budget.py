"""int8 that would fail is repaired or refused, never shipped in silence."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.errors import BudgetError
from mixkd.export import ExportConfig, Recipe, TableFormat, export
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.int8.speed import measure_latencies_ms
from mixkd.export.judge.judge import Judge, read_examples
from mixkd.runtime import open_bundle
from mixkd.task import Task
from tests.export.conftest import trace
from tests.tiny import plant_outliers, tiny_classifier, tiny_texts, write_answers, write_student


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    """A student whose int8 fails, and texts on which it is right."""
    folder = tmp_path_factory.mktemp("fragile")
    model = tiny_classifier("bert")
    plant_outliers(model, [0, 1])
    student = write_student(folder / "student", model)
    return student, open_corpus(write_answers(folder / "data", model, tiny_texts(80)))


def test_loss_without_a_budget_is_told(fragile: tuple[Path, Corpus], tmp_path: Path) -> None:
    student, corpus = fragile
    result = export(student, tmp_path / "bundle", config=ExportConfig(), data=corpus)
    assert result.quality is not None
    assert result.quality.int8 is not None
    assert result.quality.fp32 == 1
    assert result.quality.int8 < 0.97
    assert "int8 loses" in result.notes[0]


def test_sensitive_products_go_back_to_fp32(fragile: tuple[Path, Corpus], tmp_path: Path) -> None:
    student, corpus = fragile
    config = ExportConfig(max_drop=1.5)
    result = export(student, tmp_path / "bundle", config=config, data=corpus)
    assert result.quality is not None
    assert result.quality.int8 is not None
    assert result.quality.int8 >= 0.985
    details = json.loads((tmp_path / "bundle" / "export.json").read_text())
    kept = details["kept_fp32"]
    assert len(kept) <= 4
    assert {name for name in kept if "attention/output/dense" in name} == {
        f"/bert/encoder/layer.{i}/attention/output/dense/MatMul" for i in (0, 1)
    }
    trials = details["trials"]
    assert trials[0]["drop_points"] > 1.5 >= trials[-1]["drop_points"]


def test_nothing_within_the_budget_is_exit_code_3_and_no_bundle(tmp_path: Path) -> None:
    # Two hundred labels that a random head hardly tells apart: any int8 flips some.
    model = tiny_classifier("bert", num_labels=200)
    model.state_dict()["classifier.weight"] *= 0.01
    plant_outliers(model, [0, 1])
    student = write_student(tmp_path / "student", model)
    data = write_answers(tmp_path / "data", model, tiny_texts(80))
    arguments = ["export", student, "--output", tmp_path / "b", "--data", data, "--max-drop", 0]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, BudgetError)
    assert result.exception.exit_code == 3
    assert "the best (" in str(result.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"student", "data"}


def test_auto_keeps_the_fastest_within_the_budget(
    student: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mixkd.export.int8.budget.measure_latencies_ms", lambda models, judge: [3.0, 1.0, 2.0]
    )
    arguments = ["export", student, "--output", tmp_path / "b", "--data", data, "--fastest"]
    printed = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "--max-drop", 5]])
    assert printed.exit_code == 0, printed.output
    trials = json.loads((tmp_path / "b" / "export.json").read_text())["trials"]
    assert [(trial["recipe"], trial["latency_ms"]) for trial in trials] == [
        ("portable", 3.0),
        ("fast", 1.0),
        ("static", 2.0),
    ]
    within = [trial for trial in trials if trial["drop_points"] <= 5]
    fastest = min(within, key=lambda trial: trial["latency_ms"])["recipe"]
    assert open_bundle(tmp_path / "b").manifest.recipe == fastest
    assert all(f"  {trial['recipe']:9} {100 * trial['score']:.2f} %" in printed.stdout for trial in trials)


def test_auto_climbs_where_no_plain_recipe_is_within(
    fragile: tuple[Path, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixkd.export.int8.budget.measure_latencies_ms", lambda models, judge: [1.0, 2.0])
    student, corpus = fragile
    config = ExportConfig(recipe=(Recipe.PORTABLE, Recipe.FAST), max_drop=1.5)
    result = export(student, tmp_path / "bundle", config=config, data=corpus)
    assert [trial.latency_ms for trial in result.trials[:2]] == [1.0, 2.0]
    assert min(trial.drop_points for trial in result.trials[:2]) > 1.5 >= result.trials[-1].drop_points
    assert result.trials[-1].kept


def test_4_bit_tables_beyond_the_budget_become_8_bit_ones(tmp_path: Path) -> None:
    model = tiny_classifier("bert", vocab_size=9000)
    student = write_student(tmp_path / "student", model)
    corpus = open_corpus(write_answers(tmp_path / "data", model, tiny_texts(60)))
    config = ExportConfig(embeddings=TableFormat.INT4, max_drop=2)
    result = export(student, tmp_path / "bundle", config=config, data=corpus)
    assert [trial.tables for trial in result.trials] == ["int4", "int8"]
    assert result.trials[0].drop_points > 2 >= result.trials[1].drop_points
    assert not result.trials[1].kept


def test_latencies_tell_a_large_graph_from_a_small_one(data: Path) -> None:
    small, large = (
        rewrite(trace(tiny_classifier("bert", **sizes)), max_length=46)[0]
        for sizes in ({}, {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4})
    )
    student = write_student(data.with_name("timed"), tiny_classifier("bert"))
    corpus = open_corpus(data)
    labels = [f"label-{i}" for i in range(5)]
    examples = read_examples(corpus, "test", labels, Task.SINGLE_LABEL)
    judge = Judge(examples, np.zeros((60, 5), np.float32), tokenizer=student, max_length=46)
    first, second = measure_latencies_ms([large, small], judge)
    assert first > 2 * second > 0


@pytest.mark.parametrize("publish", [False, True])
def test_changed_labels_are_counted_and_texts_are_published_only_where_asked(
    fragile: tuple[Path, Corpus], tmp_path: Path, publish: bool
) -> None:
    student, corpus = fragile
    config = ExportConfig(publish_examples=publish)
    export(student, tmp_path / "bundle", config=config, data=corpus)
    changed = json.loads((tmp_path / "bundle" / "export.json").read_text())["int8_against_fp32"]
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert changed["broken"] == changed["flipped"] == sum(c["texts"] for c in changed["changes"]) > 0
    for change in changed["changes"]:
        assert f"| {change['label']} | {change['fp32']} | {change['int8']} | {change['texts']} |" in card
    assert len(changed["examples"]) == (changed["flipped"] if publish else 0)
    for example in changed["examples"]:
        assert f"| {example['text']} | {example['label']} | {example['fp32']} | {example['int8']} |" in card
    if not publish:
        texts = [row.text for row in corpus.read("test")]
        for file in (tmp_path / "bundle").rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                assert not [text for text in texts if len(text) > 20 and text.encode() in content], file
