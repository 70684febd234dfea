"""Trainings that end at chance or diverge: what they are measured against, and that they are tried again."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixkd.compress import DistillConfig, FinetuneConfig, distill, finetune
from mixkd.compress.attempts import chance_level
from mixkd.errors import TrainingError
from mixkd.task import Task
from tests.tiny import WORDS

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "max_length": 16}


def test_chance_is_the_share_of_the_largest_class_and_a_standard_error() -> None:
    targets = np.eye(2, dtype=np.float32)[[0] * 75 + [1] * 25]
    unlabelled = np.full((50, 2), np.nan, np.float32)
    expected = 0.75 + (0.75 * 0.25 / 100) ** 0.5
    for rows in (targets, np.concatenate([targets, unlabelled])):
        assert chance_level(rows, Task.SINGLE_LABEL) == pytest.approx(expected)


def test_chance_of_several_labels_is_the_best_f1_of_one_answer_for_all() -> None:
    # Two labels on every text and a third on half of them: answering all three finds 250 of 250 in 300.
    targets = np.tile(np.array([[1, 1, 1], [1, 1, 0]], np.float32), (50, 1))
    best = 2 * 250 / (250 + 300)
    assert chance_level(targets, Task.MULTI_LABEL) == pytest.approx(best + (best * (1 - best) / 100) ** 0.5)
    assert chance_level(np.zeros((9, 3), np.float32), Task.MULTI_LABEL) == 0


def test_chance_of_a_correlation_falls_with_the_rows() -> None:
    assert chance_level(np.zeros((400, 1), np.float32), Task.REGRESSION) == pytest.approx(0.05)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Texts whose labels nobody can know."""
    rng = random.Random(0)
    folder = tmp_path / "noise"
    folder.mkdir()
    for split, rows in (("train", 60), ("validation", 400)):
        lines = [f"{' '.join(rng.choices(WORDS, k=4))}\t{rng.choice('ab')}" for _ in range(rows)]
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_training_at_chance_tries_again_and_tells_how_often(
    teacher: Path, noise: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    config = FinetuneConfig(**QUICK, learning_rate=1e-3, retries=2, seed=5)
    finetune(teacher, noise, tmp_path / "out", config=config, announce=told.append)
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    failed = [note for note in record["notes"] if "no better than chance" in note]
    assert len(failed) == 3
    for note, rate in zip(failed, ("0.001", "0.0005", "0.00025"), strict=True):
        assert f"rate {rate} failed" in note
    assert len({note.split(" failed")[0] for note in failed}) == 3  # another seed each
    assert record["config"]["learning_rate"] == 2.5e-4
    assert [line for line in told if "trying again" in line] == [
        f"{note}; trying again with another seed and half the rates" for note in failed[:2]
    ]
    assert told[-1] == f"{failed[2]}: more texts, or another model, may help"


def test_resumed_run_goes_on_with_the_attempt_it_was_at(teacher: Path, noise: Path, tmp_path: Path) -> None:
    config = FinetuneConfig(**QUICK, learning_rate=1e-3, retries=2)
    finetune(teacher, noise, tmp_path / "whole", config=config)
    second = tmp_path / "out.partial" / "checkpoints-2"

    def stop(what: str, done: int, total: int) -> None:
        if list(second.glob("checkpoint-*/complete")):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        finetune(teacher, noise, tmp_path / "out", config=config, progress=stop)
    told: list[str] = []
    finetune(teacher, noise, tmp_path / "out", config=config, resume=True, announce=told.append)
    assert len([line for line in told if "trying again" in line]) == 1  # not the first one again
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "out")]
    assert weights[0] == weights[1]


def test_run_that_is_resumed_after_its_last_attempt_makes_no_other(
    teacher: Path, noise: Path, tmp_path: Path
) -> None:
    config = FinetuneConfig(**QUICK, learning_rate=1e-3, retries=1)

    def stop(line: str) -> None:
        if "more texts, or another model" in line:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        finetune(teacher, noise, tmp_path / "out", config=config, announce=stop)
    finetune(teacher, noise, tmp_path / "out", config=config, resume=True)
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert len([note for note in record["notes"] if "no better than chance" in note]) == 2


def test_training_that_learns_is_not_repeated(teacher: Path, data: Path, tmp_path: Path) -> None:
    config = FinetuneConfig(epochs=30, batch_size=8, max_length=32, learning_rate=3e-3, retries=2)
    told: list[str] = []
    finetune(teacher, data, tmp_path / "out", config=config, announce=told.append)
    assert "chance" not in (tmp_path / "out" / "run.json").read_text(encoding="utf-8")
    assert told[-1].startswith(
        "240 steps of 8 texts (30 epochs), learning rate 0.003, of the head 0.003; about "
    )


def test_training_that_diverges_is_tried_again_before_it_is_an_error(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    config = DistillConfig(**(QUICK | {"epochs": 9}), learning_rate=1e9, retries=1, student_layers=2)
    with pytest.raises(TrainingError, match="not a finite number"):
        distill(teacher, data, tmp_path / "out", config=config, announce=told.append)
    assert len([line for line in told if "NaN or infinite; trying again" in line]) == 1
    assert list(tmp_path.iterdir()) == []


def test_unlabelled_validation_texts_judge_nothing(teacher: Path, noise: Path, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        file = noise / f"{split}.tsv"
        texts = [line.split("\t")[0] for line in file.read_text(encoding="utf-8").splitlines()]
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    told: list[str] = []
    config = DistillConfig(student_layers=1, early_stopping=2)
    result = distill(teacher, noise, tmp_path / "out", config=config, announce=told.append)
    assert not [line for line in told if "chance" in line]
    assert "accuracy" not in result.metrics["validation"]
