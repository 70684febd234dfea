"""Students cut out of teachers of every architecture."""

import pytest
import torch
from torch import nn
from transformers import BertConfig, PreTrainedModel

from mixkd.compress.shape import Keep
from mixkd.compress.student import cut_layers, kept_layers, layer_count
from mixkd.errors import ConfigError, ModelError
from tests.tiny import ENCODERS, tiny_classifier


def inputs() -> dict[str, torch.Tensor]:
    return {
        "input_ids": torch.tensor([[2, 7, 9, 11, 3]]),
        "attention_mask": torch.ones(1, 5, dtype=torch.long),
    }


@pytest.mark.parametrize("kind", ENCODERS)
def test_student_of_all_layers_answers_as_its_teacher(kind: str) -> None:
    teacher = tiny_classifier(kind, num_hidden_layers=4)
    student = cut_layers(teacher, 4).eval()
    torch.testing.assert_close(student(**inputs()).logits, teacher(**inputs()).logits)


@pytest.mark.parametrize("kind", ENCODERS)
def test_student_has_the_teachers_first_states(kind: str) -> None:
    teacher = tiny_classifier(kind, num_hidden_layers=4)
    student = cut_layers(teacher, 2).eval()
    assert layer_count(student) == 2
    ours = student(**inputs(), output_hidden_states=True).hidden_states
    theirs = teacher(**inputs(), output_hidden_states=True).hidden_states
    assert len(ours) == 3
    torch.testing.assert_close(ours[1], theirs[1])
    assert sum(p.numel() for p in student.parameters()) <= sum(p.numel() for p in teacher.parameters())


@pytest.mark.parametrize("kind", sorted(ENCODERS.keys() - {"albert", "modernbert"}))
def test_student_has_the_weights_of_evenly_spaced_layers(kind: str) -> None:
    teacher = tiny_classifier(kind, num_hidden_layers=4)
    student = cut_layers(teacher, 2, keep=Keep.EVEN)
    theirs, ours = _layers(teacher), _layers(student)
    for mine, its in zip(ours, (theirs[0], theirs[2]), strict=True):
        for name, tensor in mine.state_dict().items():
            torch.testing.assert_close(tensor, its.state_dict()[name])


def _layers(model: PreTrainedModel) -> nn.ModuleList:
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == layer_count(model)]
    return lists[0]


def test_student_owns_its_weights() -> None:
    teacher = tiny_classifier("bert")
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    student = cut_layers(teacher, 1)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize(
    ("total", "layers", "expected"), [(12, 3, [0, 4, 8]), (6, 4, [0, 1, 3, 4]), (6, 1, [0])]
)
def test_even_layers_are_spaced_from_the_first(total: int, layers: int, expected: list[int]) -> None:
    assert kept_layers(total, layers, Keep.EVEN) == expected


@pytest.mark.parametrize("layers", [0, 3])
def test_cut_refuses_more_layers_than_there_are(layers: int) -> None:
    with pytest.raises(ConfigError, match="1 to 2"):
        cut_layers(tiny_classifier("bert"), layers)


def test_cut_refuses_even_layers_where_kinds_alternate() -> None:
    teacher = tiny_classifier("modernbert", num_hidden_layers=6, global_attn_every_n_layers=3)
    with pytest.raises(ConfigError, match="--keep first"):
        cut_layers(teacher, 2, keep=Keep.EVEN)


def test_cut_names_an_architecture_without_a_layer_list() -> None:
    class Flat(PreTrainedModel):
        config_class = BertConfig

        def __init__(self, config: BertConfig) -> None:
            super().__init__(config)
            self.linear = nn.Linear(2, 2)

    with pytest.raises(ModelError, match=r"Flat \(bert\) can't be cut.*--student"):
        cut_layers(Flat(BertConfig(num_hidden_layers=2)), 1)
