"""PyTorch's exporter traces every encoder, and needs no optimum. test_optimum.py compares the two."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from transformers import PreTrainedModel

from mixkd.errors import ModelError
from mixkd.export import Exporter
from tests.export.conftest import trace
from tests.exported import STUDENTS, check_rewrites, exported, write_real_student
from tests.tiny import tiny_classifier


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUDENTS)
def test_torch_exports_every_encoder_with_every_rewrite(kind: str, tmp_path: Path) -> None:
    made = exported(write_real_student(tmp_path / "student", kind), tmp_path / "bundle", Exporter.TORCH)
    check_rewrites(kind, made)
    assert len(set(made["labels"])) > 1, "a student that says the same of every text shows nothing"


@pytest.mark.parametrize(("exporter", "code"), [("auto", 0), ("torch", 0), ("optimum", 1)])
def test_only_the_exporter_optimum_needs_optimum(
    exporter: str, code: int, student: Path, tmp_path: Path
) -> None:
    program = "import sys; sys.modules['optimum'] = None\nfrom mixkd.cli import main\nmain()"
    command = ("export", student, "--output", tmp_path / "bundle", "--exporter", exporter)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert (tmp_path / "bundle").exists() is (code == 0)
    if code:
        (line,) = done.stderr.splitlines()
        assert line.endswith('this needs the package optimum: pip install "mixkd[optimum]"')


def test_inputs_are_what_the_tokenizer_makes_and_the_model_uses() -> None:
    # DeBERTa's forward takes segments and ignores them, RoBERTa's tokenizer makes none.
    inputs = {
        kind: [value.name for value in trace(tiny_classifier(kind)).graph.input]
        for kind in ("bert", "albert", "deberta-v2", "roberta", "distilbert")
    }
    assert inputs.pop("bert") == inputs.pop("albert") == ["input_ids", "attention_mask", "token_type_ids"]
    assert set(map(tuple, inputs.values())) == {("input_ids", "attention_mask")}


Change: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def changed(change: Change) -> PreTrainedModel:
    """Return a BERT whose first hidden state is changed by a function of it and of the token ids."""
    model = tiny_classifier("bert")
    embed = model.get_submodule("bert.embeddings")
    forward = embed.forward
    embed.forward = lambda input_ids, **options: change(forward(input_ids, **options), input_ids)
    return model


def test_model_that_the_exporter_cannot_trace_is_one_line() -> None:
    model = changed(lambda hidden, _: hidden + torch.linalg.svdvals(hidden).sum())
    with pytest.raises(ModelError, match="torch can't export a bert classifier") as refused:
        trace(model)
    assert "\n" not in str(refused.value)
    assert "forward" not in vars(model), "the model is left as it was"


def test_graph_that_keeps_a_size_of_the_trace_is_refused() -> None:
    with pytest.raises(ModelError, match="doesn't answer as PyTorch does"):
        trace(changed(lambda hidden, ids: hidden * len(ids[0])))  # a constant to the tracer
