"""A tiny teacher with its tokenizer, and labelled texts that it understands."""

import random
from pathlib import Path

import pytest
import torch

from tests.tiny import WORDS, tiny_classifier, write_student

LABELS = [f"label-{i}" for i in range(5)]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # bit-equal sums whatever machine runs the tests


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A four-layer BERT teacher with 5 labels."""
    model = tiny_classifier("bert", num_hidden_layers=4)
    return write_student(tmp_path_factory.mktemp("teacher") / "teacher", model)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Splits of 60, 20 and 20 texts; a text's first word decides its label."""
    folder = tmp_path_factory.mktemp("data") / "data"
    folder.mkdir()
    rng = random.Random(0)
    for split, rows in (("train", 60), ("validation", 20), ("test", 20)):
        lines = ["text\tlabel"]
        for row in range(rows):
            label = row % len(LABELS)
            words = [WORDS[label], *rng.choices(WORDS, k=rng.randint(0, 9))]
            lines.append(" ".join(words) + f"\t{LABELS[label]}")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
