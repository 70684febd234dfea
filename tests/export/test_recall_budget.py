"""`--max-recall-drop`: int8 that ruins one rare label is repaired or refused, whatever it scores."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import BudgetError, ConfigError
from mixkd.export import ExportConfig, export
from mixkd.export.judge.judge import Examples
from mixkd.export.judge.recall import recalls
from mixkd.export.judge.reference import TorchModel
from mixkd.runtime import Classifier
from mixkd.task import Task
from tests.tiny import plant_outliers, tiny_classifier, tiny_texts, write_student

RARE = 10


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student whose int8 changes some answers."""
    model = tiny_classifier("bert")
    plant_outliers(model, [0, 1])
    return write_student(tmp_path_factory.mktemp("student") / "student", model)


@pytest.fixture(scope="module")
def planted(student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Texts on which the student is always right, and the label of which int8 answers every text wrongly."""
    folder = tmp_path_factory.mktemp("planted")
    export(student, folder / "plain", config=ExportConfig())
    texts = list(dict.fromkeys(tiny_texts(4000)))
    right = TorchModel(student, max_length=48).logits(texts).argmax(axis=1)
    after = Classifier.load(folder / "plain").predict_proba(texts).argmax(axis=1)
    flipped = right != after
    ((rare, count),) = Counter(right[flipped].tolist()).most_common(1)
    assert count >= RARE
    lost = np.flatnonzero(flipped & (right == rare))[:RARE]
    kept = np.flatnonzero(~flipped & (right != rare))[:1000]
    rows = [f"{texts[i]}\tlabel-{right[i]}" for i in (*lost, *kept)]
    data = folder / "data"
    data.mkdir()
    for split in ("validation", "test"):
        (data / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return data, f"label-{rare}"


def test_accuracy_alone_does_not_see_the_ruined_label(
    student: Path, planted: tuple[Path, str], tmp_path: Path
) -> None:
    data, rare = planted
    made = export(student, tmp_path / "bundle", config=ExportConfig(max_drop=2.0), data=open_corpus(data))
    (trial,) = made.trials
    assert trial.drop_points < 2
    details = json.loads((tmp_path / "bundle" / "export.json").read_text(encoding="utf-8"))
    assert details["int8_against_fp32"]["recall"][rare] == [1.0, 0.0]


def test_ruined_label_is_repaired(student: Path, planted: tuple[Path, str], tmp_path: Path) -> None:
    data, rare = planted
    config = ExportConfig(max_drop=2.0, max_recall_drop=20.0)
    made = export(student, tmp_path / "bundle", config=config, data=open_corpus(data))
    first, last = made.trials[0], made.trials[-1]
    assert first.recall_drop is not None
    assert (first.recall_drop.label, first.recall_drop.points) == (rare, 100.0)
    assert last.recall_drop is not None
    assert last.recall_drop.points <= 20
    assert last.kept
    texts = [line.partition("\t")[0] for line in (data / "test.tsv").read_text().splitlines()[1 : RARE + 1]]
    found = [answer.label for answer in Classifier.load(tmp_path / "bundle").predict(texts)]
    assert found.count(rare) >= 0.8 * RARE


def test_label_that_no_candidate_keeps_is_exit_code_3_and_no_bundle(
    student: Path, planted: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixkd.export.int8.budget._with_kept_parts", lambda *_: ())
    words = ("export", student, "--output", tmp_path / "b", "--data", planted[0], "--max-recall-drop", 20)
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, BudgetError)
    assert f"'{planted[1]}' 100.00 points of recall" in str(result.exception)
    assert not (tmp_path / "b").exists()


def test_labels_with_too_few_texts_are_named(
    student: Path, planted: tuple[Path, str], tmp_path: Path
) -> None:
    data, rare = planted
    config = ExportConfig(max_drop=2.0, max_recall_drop=5.0)  # of the rare label one text is 10 points
    made = export(student, tmp_path / "bundle", config=config, data=open_corpus(data))
    (note,) = (note for note in made.notes if note.startswith("too few texts on validation"))
    assert f"{rare} ({RARE})" in note
    assert len(made.trials) == 1
    config = ExportConfig(max_recall_drop=0.01)
    with pytest.raises(ConfigError, match="no label has so many on validation"):
        export(student, tmp_path / "other", config=config, data=open_corpus(data))


def test_recall_of_several_labels_for_each_text() -> None:
    target = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [np.nan] * 3])
    examples = Examples("test", ("a", "b", "c", "d"), target, Task.MULTI_LABEL, ("x", "y", "z"))
    logits = np.array([[1, -1, -1], [-1, 1, 1], [1, 1, -1], [1, 1, 1]], np.float32)
    np.testing.assert_array_equal(recalls(logits, examples), [0.5, 1, np.nan])
