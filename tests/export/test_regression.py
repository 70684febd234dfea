"""A regression's numbers are correlations: printed as numbers, nowhere in percent."""

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.runtime import open_bundle
from tests.tiny import WORDS, add_letters, tiny_classifier, tiny_texts, tiny_tokenizer, write_student


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the export of a regression prints, and its bundle; the vocabulary is trimmed, a budget is set."""
    folder = tmp_path_factory.mktemp("regression")
    model = tiny_classifier("bert", num_labels=1, problem_type="regression")
    student = write_student(folder / "student", model)
    add_letters(student)
    tokenizer, texts = tiny_tokenizer(), tiny_texts(40)
    with torch.inference_mode():
        scores = [float(model(**tokenizer(text, return_tensors="pt")).logits) for text in texts]
    lines = [f"{text}\t{score:.4f}" for text, score in zip(texts, scores, strict=True)]
    (folder / "train.tsv").write_text(f"text\tlabel\n{' '.join(WORDS[:-3])}\t0.5\n", encoding="utf-8")
    (folder / "test.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    words = ["export", student, "--output", folder / "bundle", "--data", folder]
    words += ["--vocabulary", "trim", "--max-drop", "100"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout, folder / "bundle"


def test_export_prints_correlations_as_numbers(exported: tuple[str, Path]) -> None:
    printed, bundle = exported
    quality = open_bundle(bundle).manifest.quality
    assert f"pearson   1.0000 in PyTorch, {quality['fp32']:.4f} fp32, {quality['int8']:.4f} int8" in printed
    (trial,) = re.findall(r"portable +(\S+) ", printed)
    assert trial == f"{quality['int8']:.4f}"
    assert re.search(r"other pieces: 1\.0000 before, -?[01]\.\d{4} after$", printed, re.MULTILINE)


def test_card_prints_correlations_as_numbers(exported: tuple[str, Path]) -> None:
    _, bundle = exported
    quality = open_bundle(bundle).manifest.quality
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "| student in PyTorch | 1.0000 |" in card
    assert f"| int8 graph | {quality['int8']:.4f} |" in card
    assert re.search(r"other pieces: 1\.0000 before, -?[01]\.\d{4} after\.$", card, re.MULTILINE)
