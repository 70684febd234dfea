"""Soft labels, and labels of one output, through fine-tuning and distillation as a user runs them."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from mixkd.compress import DistillConfig, FinetuneConfig, Method, distill, finetune
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import DataError
from mixkd.labels import label_space_of
from mixkd.task import Task
from tests.tiny import WORDS, tiny_classifier, tiny_tokenizer, write_student

SLOW: dict[str, Any] = {"epochs": 30, "batch_size": 8, "max_length": 32, "learning_rate": 3e-3}
SHARES = {"a": 0.7, "b": 0.3}


def write(path: Path, rows: list[tuple[str, Any]]) -> Path:
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def start(folder: Path) -> str:
    return str(write_student(folder / "start", tiny_classifier("bert")))


def answers(folder: Path, text: str) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits: torch.Tensor = model(**tiny_tokenizer()(text, return_tensors="pt")).logits[0]
    return logits


def test_teacher_and_student_learn_the_probabilities_of_soft_labels(tmp_path: Path) -> None:
    # One text without any other sign: the best answer to it is the label itself.
    rng = random.Random(0)
    rows: list[tuple[str, Any]] = [(WORDS[0], SHARES) for _ in range(40)]
    rows += [(WORDS[1], rng.choice(["a", "b"])) for _ in range(10)] + [(WORDS[2], None) for _ in range(10)]
    data = write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "more.jsonl", [(WORDS[0], SHARES)] * 8 + [(WORDS[3], "b")] * 8 + [(WORDS[4], None)] * 8)
    corpus = open_corpus(data, augmented=[tmp_path / "more.jsonl"])
    finetune(start(tmp_path), corpus, tmp_path / "teacher", config=FinetuneConfig(**SLOW, dropout=0.0))
    assert answers(tmp_path / "teacher", WORDS[0]).softmax(dim=0)[0].item() == pytest.approx(0.7, abs=0.03)
    assert answers(tmp_path / "teacher", WORDS[3]).argmax() == 1
    # With the labels alone, so that it isn't the teacher that teaches the probabilities.
    config = DistillConfig(method=Method.FINETUNE, student_layers=1, **SLOW)
    distill(str(tmp_path / "teacher"), corpus, tmp_path / "student", config=config)
    assert answers(tmp_path / "student", WORDS[0]).softmax(dim=0)[0].item() == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("method", list(Method))
def test_every_method_takes_hard_soft_and_unlabelled_texts_in_any_order(
    method: Method, tmp_path: Path
) -> None:
    hard: list[tuple[str, Any]] = [(WORDS[i % 9], "ab"[i % 2]) for i in range(1100)]  # over a chunk of texts
    soft: list[tuple[str, Any]] = [(WORDS[i % 7], SHARES) for i in range(5)]
    bare: list[tuple[str, Any]] = [(WORDS[i % 5], None) for i in range(5)]
    teacher = write_student(tmp_path / "teacher", tiny_classifier("bert", num_labels=2, num_hidden_layers=3))
    config = json.loads((teacher / "config.json").read_text(encoding="utf-8"))
    config |= {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    (teacher / "config.json").write_text(json.dumps(config), encoding="utf-8")
    corpus = open_corpus(
        write(tmp_path / "train.jsonl", hard + soft + bare),
        augmented=[write(tmp_path / "soft.jsonl", soft), write(tmp_path / "bare.jsonl", bare + hard[:3])],
    )
    options = DistillConfig(method=method, student_layers=2, epochs=1, max_length=16, train_limit=100)
    result = distill(str(teacher), corpus, tmp_path / "out", config=options)
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert {name: split["rows"] for name, split in record["data"]["splits"].items()} == {
        "train": 100,
        "augmented-1": 5,
        "augmented-2": 8,
    }
    assert np.isfinite(list(result.metrics["validation"].values())).all()


def test_probabilities_that_do_not_add_up_are_refused_before_training(tmp_path: Path) -> None:
    data = write(tmp_path / "train.jsonl", [(WORDS[0], "a"), (WORDS[1], {"a": 0.5, "b": 0.3})])
    with pytest.raises(DataError, match=r"train.jsonl, row 2: the probabilities of a label must add up to 1"):
        finetune(start(tmp_path), open_corpus(data), tmp_path / "out", config=FinetuneConfig(**SLOW))
    assert not list(tmp_path.glob("out*"))


def test_one_label_that_texts_have_or_not_stays_multi_label(tmp_path: Path) -> None:
    rows: list[tuple[str, Any]] = [(f"{WORDS[i % 2]} {WORDS[i % 5]}", ["spam"][: i % 2]) for i in range(60)]
    corpus = open_corpus(write(tmp_path / "train.jsonl", rows))
    finetune(start(tmp_path), corpus, tmp_path / "teacher", config=FinetuneConfig(**SLOW))
    config = DistillConfig(student_layers=1, **SLOW)
    result = distill(str(tmp_path / "teacher"), corpus, tmp_path / "student", config=config)
    assert result.metrics["validation"]["micro_f1"] == 1.0
    for name in ("teacher", "student"):
        written = json.loads((tmp_path / name / "config.json").read_text(encoding="utf-8"))
        space = label_space_of(written, model=name)
        assert (space.task, space.names) == (Task.MULTI_LABEL, ("spam",))
        assert answers(tmp_path / name, WORDS[1]).item() > 0 > answers(tmp_path / name, WORDS[0]).item()
