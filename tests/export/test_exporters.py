"""torch and optimum trace graphs that hold the same and answer alike; without optimum, torch is enough."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from mixkd.errors import ModelError
from mixkd.export import Exporter
from tests.export.conftest import trace
from tests.exported import STUDENTS, exported, write_real_student
from tests.tiny import tiny_classifier
from tests.tools import need_optimum

ROUNDING = 1e-5
REWRITES = {
    # nodes that compute one position, position tables that are sliced, attentions, those of them in one node
    "bert": (26, 1, 2, 2),
    "roberta": (26, 0, 2, 2),
    "xlm-roberta": (26, 0, 2, 2),
    "distilbert": (26, 1, 2, 2),
    "electra": (26, 1, 2, 2),
    "albert": (29, 1, 2, 2),
    "mpnet": (27, 0, 2, 0),
    "deberta-v2": (17, 0, 2, 0),
    "modernbert": (11, 0, 2, 0),
    "minilm": (26, 1, 6, 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUDENTS)
def test_torch_exports_every_encoder_with_every_rewrite(kind: str, tmp_path: Path) -> None:
    made = exported(write_real_student(tmp_path / "student", kind), tmp_path / "bundle", Exporter.TORCH)
    check(kind, made)
    assert len(set(made["labels"])) > 1, "a student that says the same of every text shows nothing"


def check(kind: str, made: dict[str, Any]) -> None:
    names = ("narrowed", "position_tables", "attentions", "fused_attentions")
    assert tuple(made["rewrites"][name] for name in names) == REWRITES[kind]
    assert made["rewrites"]["exact"]
    assert made["difference"] <= ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUDENTS)
def test_optimum_and_torch_give_the_same(kind: str, tmp_path: Path) -> None:
    need_optimum()
    student = write_real_student(tmp_path / "student", kind)
    by_optimum, by_torch = (
        exported(student, tmp_path / exporter, exporter) for exporter in (Exporter.OPTIMUM, Exporter.TORCH)
    )
    check(kind, by_optimum)
    assert by_torch["rewrites"] == by_optimum["rewrites"]
    assert by_torch["labels"] == by_optimum["labels"]
    np.testing.assert_allclose(by_torch["scores"], by_optimum["scores"], atol=1e-6)


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
