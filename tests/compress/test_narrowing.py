"""Students with fewer neurons and heads: the right ones go, the rest stays as it was."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from mixkd.compress import distill
from mixkd.compress.config import DistillConfig
from mixkd.compress.families import keep_outputs, linear_in
from mixkd.compress.importance import Units, measure_importance
from mixkd.compress.narrowing import Widths, narrow, planned_widths
from mixkd.compress.shape import Keep
from mixkd.compress.student import cut_layers, layers_of
from mixkd.errors import ConfigError, ModelError
from tests.tiny import ENCODERS, tiny_classifier, write_student

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "max_length": 32, "learning_rate": 3e-3}
OUTWARD = {
    "distilbert": "attention.out_lin",
    "albert": "attention.dense",
    "mpnet": "attention.attn.o",
    "modernbert": "attn.Wo",
}
DOWN = {"distilbert": "ffn.lin2", "albert": "ffn_output", "modernbert": "mlp.Wo"}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "n_heads": 4, "num_hidden_layers": 3, "n_layers": 3}


def texts() -> list[dict[str, Tensor]]:
    """Two batches; the second one has padding."""
    ids = torch.arange(5, 29).reshape(4, 6) % 34 + 5
    mask = torch.ones_like(ids)
    padded = mask.clone()
    padded[1:, 3:] = 0
    return [{"input_ids": ids, "attention_mask": m} for m in (mask, padded)]


def logits(model: Any) -> Tensor:
    with torch.inference_mode():
        return torch.cat([model.eval()(**batch).logits for batch in texts()])


def part(layer: nn.Module, names: dict[str, str], kind: str, default: str) -> nn.Linear:
    found = layer.get_submodule(names.get(kind, default))
    assert isinstance(found, nn.Linear)
    return found


def spoil(model: Any, kind: str, *, neurons: list[int], heads: list[int]) -> None:
    """Let nothing read these neurons and heads."""
    for layer in layers_of(model):
        outward = part(layer, OUTWARD, kind, "attention.output.dense").weight.data
        outward.view(len(outward), 4, -1)[:, heads] = 0
        part(layer, DOWN, kind, "output.dense").weight.data[:, neurons] = 0


@pytest.mark.parametrize("kind", ENCODERS)
def test_units_that_nothing_reads_go_first_and_the_logits_stay(kind: str, tmp_path: Path) -> None:
    teacher = tiny_classifier(kind, **HEADS)
    spoil(teacher, kind, neurons=[0, 3, 4, 11, 17, 20, 22, 23], heads=[0, 2])
    student = cut_layers(teacher, 3)
    narrow(student, teacher, Widths(ffn=16, heads=2), texts())
    torch.testing.assert_close(logits(student), logits(teacher), rtol=1e-4, atol=1e-5)
    assert all(part(layer, DOWN, kind, "output.dense").in_features == 16 for layer in layers_of(student))
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, attn_implementation="eager")
    assert torch.equal(logits(loaded), logits(student))
    # What is left is needed.
    narrow(student := cut_layers(teacher, 3), teacher, Widths(ffn=15, heads=2), texts())
    assert not torch.allclose(logits(student), logits(teacher), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ENCODERS)
def test_removed_heads_change_the_logits_as_if_their_outputs_were_zero(kind: str) -> None:
    teacher = tiny_classifier(kind, **HEADS)
    student = cut_layers(teacher, 3)
    narrow(student, teacher, Widths(ffn=None, heads=3), texts())
    units = [Units(part(layer, OUTWARD, kind, "attention.output.dense"), 4) for layer in layers_of(teacher)]
    found = measure_importance(teacher, units, texts(), seed=0)
    expected = copy.deepcopy(teacher)
    for layer, importance in zip(layers_of(expected), found, strict=True):
        weight = part(layer, OUTWARD, kind, "attention.output.dense").weight.data
        weight.view(len(weight), 4, -1)[:, int(importance.argmin())] = 0
    torch.testing.assert_close(logits(student), logits(expected), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(logits(student), logits(teacher), rtol=1e-3, atol=1e-4)


def test_importance_is_the_squared_change_of_the_logits() -> None:
    # With one output a sum over outputs needs no estimate, so the two agree text by text.
    model = tiny_classifier("bert", num_labels=1)
    layer = layers_of(model)[0]
    down = part(layer, DOWN, "bert", "output.dense")
    (found,) = measure_importance(model, [Units(down, 24)], texts(), seed=0)
    step = 1e-3
    for neuron in (0, 7, 23):
        changed = copy.deepcopy(model).double()
        before = logits(changed)
        part(layers_of(changed)[0], DOWN, "bert", "output.dense").weight.data[:, neuron] *= 1 - step
        expected = ((logits(changed) - before) / step).square().sum()
        assert found[neuron].item() == pytest.approx(expected.item(), rel=0.02)


def test_importance_estimates_the_sum_over_all_outputs() -> None:
    model = tiny_classifier("bert")
    units = [Units(part(layer, DOWN, "bert", "output.dense"), 24) for layer in layers_of(model)]
    mean = sum(measure_importance(model, units, texts(), seed=seed)[0] for seed in range(200)) / 200
    exact = torch.zeros(24)
    for output in range(5):
        one = copy.deepcopy(model)
        keep_outputs(linear_in(one, "classifier"), torch.tensor([output]))
        own = [Units(part(layers_of(one)[0], DOWN, "bert", "output.dense"), 24)]
        exact += measure_importance(one, own, texts(), seed=0)[0]
    torch.testing.assert_close(mean, exact, rtol=0.35, atol=1e-6)
    assert torch.corrcoef(torch.stack([torch.as_tensor(mean), exact]))[0, 1] > 0.98


def test_measuring_leaves_the_teacher_as_it_was() -> None:
    teacher = tiny_classifier("bert", **HEADS)
    before, state = logits(teacher), {name: p.clone() for name, p in teacher.state_dict().items()}
    narrow(cut_layers(teacher, 2), teacher, Widths(ffn=3, heads=1), texts())
    assert torch.equal(logits(teacher), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in teacher.state_dict().items())


def test_evenly_spaced_layers_are_narrowed_by_their_own_importance() -> None:
    teacher = tiny_classifier("bert", num_hidden_layers=4)
    useless = {0: [1, 2], 2: [20, 21]}
    for index, neurons in useless.items():
        part(layers_of(teacher)[index], DOWN, "bert", "output.dense").weight.data[:, neurons] = 0
    student, whole = (cut_layers(teacher, 2, keep=Keep.EVEN) for _ in range(2))
    narrow(student, teacher, Widths(ffn=22, heads=None), texts(), keep=Keep.EVEN)
    torch.testing.assert_close(logits(student), logits(whole), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ENCODERS)
def test_narrowed_student_is_distilled_and_loads_with_its_shape(
    kind: str, data: Path, tmp_path: Path
) -> None:
    folder = write_student(tmp_path / "teacher", tiny_classifier(kind, **HEADS))
    config = DistillConfig(student_layers=2, student_ffn="auto", student_heads=2, train_limit=20, **QUICK)
    result = distill(folder, data, tmp_path / "out", config=config)
    model = AutoModelForSequenceClassification.from_pretrained(result.folder)
    assert getattr(model.config, "hidden_dim" if kind == "distilbert" else "intermediate_size") == 12
    for layer in layers_of(model):
        down, outward = (
            part(layer, DOWN, kind, "output.dense"),
            part(layer, OUTWARD, kind, "attention.output.dense"),
        )
        assert down.in_features == 12
        # Training has not revived what was set to zero.
        assert (outward.weight.view(16, 4, 4).abs().amax((0, 2)) > 0).sum() == 2


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"student_ffn": 25}, "--student-ffn must be from 1 to 24, the teacher's, not 25"),
        ({"student_heads": 3}, "--student-heads must be from 1 to 2, the teacher's, not 3"),
    ],
)
def test_wider_students_are_refused(
    options: dict[str, Any], refusal: str, teacher: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=refusal):
        distill(teacher, data, tmp_path / "out", config=DistillConfig(**options, **QUICK))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"student_ffn": "half"}, "--student-ffn must be a number or auto, not half"),
        ({"student_ffn": 0}, "--student-ffn must be at least 1, not 0"),
        ({"student_heads": -1}, "--student-heads must be at least 1, not -1"),
        ({"student": "x", "student_ffn": "auto"}, "--student-ffn can't be combined with --student"),
        ({"student": "x", "student_heads": 2}, "--student-heads can't be combined with --student"),
    ],
)
def test_impossible_widths_are_refused_by_name(options: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ConfigError, match=refusal):
        DistillConfig(**options)


def test_heads_that_were_removed_before_are_refused() -> None:
    teacher = tiny_classifier("bert", num_attention_heads=4)
    teacher.config.pruned_heads = {0: [1]}
    with pytest.raises(ModelError, match="pruned_heads"):
        planned_widths(teacher, ffn=None, heads=2)


def test_unknown_architecture_is_refused_by_name() -> None:
    model = GPT2ForSequenceClassification(GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=2))
    with pytest.raises(
        ModelError, match=r"GPT2ForSequenceClassification \(gpt2\) can't be narrowed, only alb"
    ):
        planned_widths(model, ffn=4, heads=None)


def test_student_as_wide_as_its_teacher_is_not_measured() -> None:
    assert planned_widths(tiny_classifier("bert"), ffn=24, heads=2) is None
    assert planned_widths(tiny_classifier("bert"), ffn="auto", heads=2) == Widths(12, None)
