"""`--class-weights`: what the losses do with them, what a training learns with them, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from mixkd.compress import DistillConfig, FinetuneConfig, distill, finetune
from mixkd.compress.checkpoints import load_classifier, load_tokenizer
from mixkd.compress.class_weight_choice import read_class_weights
from mixkd.compress.losses import mle_loss, student_mixup_loss
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError
from mixkd.task import Task
from tests.tiny import WORDS

QUICK: dict[str, Any] = {"batch_size": 16, "max_length": 32, "learning_rate": 3e-3}


def test_losses_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(3)
    logits, weights = torch.randn(6, 4, generator=generator), torch.tensor([0.5, 1.0, 2.0, 4.0])
    numbers = torch.tensor([0, 3, 1, 2, 3, 0])
    one_hot, many = F.one_hot(numbers, 4).float(), torch.rand(6, 4, generator=generator).round()
    expected = F.cross_entropy(logits, numbers, weight=weights, reduction="none")
    found = mle_loss(logits, one_hot, task=Task.SINGLE_LABEL, class_weights=weights)
    torch.testing.assert_close(found, expected.mean())
    several = F.binary_cross_entropy_with_logits(logits, many, pos_weight=weights)
    torch.testing.assert_close(mle_loss(logits, many, task=Task.MULTI_LABEL, class_weights=weights), several)
    order, lam = torch.tensor([1, 2, 3, 4, 5, 0]), torch.rand(6, generator=generator)
    other = F.cross_entropy(logits, numbers[order], weight=weights, reduction="none")
    mixed = student_mixup_loss(
        logits, one_hot, one_hot[order], lam, task=Task.SINGLE_LABEL, class_weights=weights
    )
    torch.testing.assert_close(mixed, (lam * expected + (1 - lam) * other).mean())


@pytest.fixture
def lopsided(tmp_path: Path) -> Path:
    """Two labels, eleven to one, that no text tells apart."""
    folder = tmp_path / "lopsided"
    folder.mkdir()
    for split in ("train", "validation"):
        rows = [f"{WORDS[i % 5]}\t{'rare' if i % 12 == 0 else 'common'}" for i in range(120)]
        (folder / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return folder


def share_of_rare(model: Path) -> float:
    batch = load_tokenizer(model)(WORDS[:5], return_tensors="pt", padding=True)
    with torch.inference_mode():
        logits = load_classifier(model)(**batch).logits
    return float(logits.softmax(dim=-1)[:, 1].mean())


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, 1 / 12), ("balanced", 1 / 2), ('{"rare": 5}', 5 / 16)],
)
def test_training_learns_the_weighted_shares(
    given: str | None, expected: float, teacher: Path, lopsided: Path, tmp_path: Path
) -> None:
    config = FinetuneConfig(epochs=20, class_weights=given, keep_best=False, dropout=0.0, **QUICK)
    finetune(str(teacher), open_corpus(lopsided), tmp_path / "teacher", config=config)
    assert share_of_rare(tmp_path / "teacher") == pytest.approx(expected, abs=0.06)


def test_distillation_takes_a_file_and_keeps_its_content(teacher: Path, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.json"
    file.write_text('{"label-1": 3, "label-0": 0.5}', encoding="utf-8")
    students = []
    for name, given in (("with", str(file)), ("without", None)):
        config = DistillConfig(epochs=1, student_layers=1, class_weights=given, **QUICK)
        distill(str(teacher), open_corpus(data), tmp_path / name, config=config)
        students.append((tmp_path / name / "model.safetensors").read_bytes())
    assert students[0] != students[1]
    record = json.loads((tmp_path / "with" / "run.json").read_text(encoding="utf-8"))
    assert json.loads(record["config"]["class_weights"]) == {"label-0": 0.5, "label-1": 3}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere.json", "can't be read"),
        ("{broken", "is not JSON"),
        ("{}", "must be a JSON object"),
        ('{"a": 0}', "must be a number above 0, not 0"),
        ('{"a": "2"}', "must be a number above 0, not '2'"),
    ],
)
def test_what_holds_no_weights_is_refused(given: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_class_weights(given)


def test_label_that_the_model_has_not_is_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    config = DistillConfig(epochs=1, class_weights='{"label-9": 2}', **QUICK)
    with pytest.raises(ConfigError, match="'label-9', which is not one of the model's labels"):
        distill(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    assert not (tmp_path / "out").exists()
