"""What was removed from a student stands in `export.json` and in the card."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mixkd.compress.checkpoints import load_classifier
from mixkd.compress.narrowing import Widths, narrow
from mixkd.compress.student import cut_layers
from mixkd.export import export
from mixkd.export.narrowed import Narrowed, narrowed_parts
from tests.tiny import tiny_classifier, write_student

WIDER: dict[str, Any] = {"num_attention_heads": 4, "n_heads": 4, "num_hidden_layers": 3, "n_layers": 3}


def student(folder: Path, kind: str, widths: Widths) -> Path:
    teacher = tiny_classifier(kind, **WIDER)
    model = cut_layers(teacher, 2)
    model.eval()
    ids = torch.arange(5, 29).reshape(4, 6)
    narrow(model, teacher, widths, [{"input_ids": ids, "attention_mask": torch.ones_like(ids)}])
    return write_student(folder, model)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "modernbert"])
def test_removed_neurons_and_heads_are_counted_in_the_saved_student(kind: str, tmp_path: Path) -> None:
    folder = student(tmp_path / "s", kind, Widths(ffn=16, heads=3))
    found = narrowed_parts(load_classifier(folder))
    assert found == Narrowed(neurons=16, removed_neurons=8, heads=(3, 3), removed_heads=(1, 1))


def test_export_and_card_tell_the_numbers(tmp_path: Path) -> None:
    made = export(student(tmp_path / "s", "bert", Widths(ffn=16, heads=2)), tmp_path / "b")
    details = json.loads((made.bundle.folder / "export.json").read_text(encoding="utf-8"))
    assert details["narrowed"] == {
        "neurons": 16,
        "removed_neurons": 8,
        "heads": [2, 2],
        "removed_heads": [2, 2],
    }
    card = (made.bundle.folder / "README.md").read_text(encoding="utf-8")
    assert "Its layers keep 16 of 24 neurons and 2 of 4 attention heads of the teacher's." in card


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        (Widths(ffn=16, heads=None), "keep 16 of 24 neurons of the teacher's"),
        (Widths(ffn=None, heads=1), "keep 1 of 4 attention heads of the teacher's"),
    ],
)
def test_what_is_whole_is_not_mentioned(widths: Widths, said: str, tmp_path: Path) -> None:
    found = narrowed_parts(load_classifier(student(tmp_path / "s", "bert", widths)))
    assert found is not None
    assert said in found.describe()


@pytest.mark.parametrize("written", [None, 3, {}, {"ffn": "a", "heads": 2}])
def test_student_that_says_nothing_sensible_is_taken_as_whole(written: Any, tmp_path: Path) -> None:
    model = tiny_classifier("bert")
    model.config.narrowed_from = written
    made = export(write_student(tmp_path / "s", model), tmp_path / "b")
    details = json.loads((made.bundle.folder / "export.json").read_text(encoding="utf-8"))
    assert details["narrowed"] is None
    assert "Its layers keep" not in (made.bundle.folder / "README.md").read_text(encoding="utf-8")
