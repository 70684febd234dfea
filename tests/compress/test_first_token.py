"""Dropping the last layer's dead positions in training changes no number."""

import copy

import pytest
import torch
from transformers import PreTrainedModel

from mixkd.compress.first_token import first_token_only
from tests.tiny import tiny_classifier


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 100, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def logits_and_gradients(model: PreTrainedModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    logits = model(**batch()).logits
    logits.square().sum().backward()
    return logits, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "electra"])
def test_logits_and_gradients_are_those_of_the_whole_layer(kind: str, attention: str) -> None:
    whole = tiny_classifier(kind).double()
    whole.set_attn_implementation(attention)
    reduced = copy.deepcopy(whole)
    expected, expected_gradients = logits_and_gradients(whole)
    with first_token_only(reduced):
        states = reduced(**batch(), output_hidden_states=True).hidden_states
        assert [s.shape[1] for s in states] == [9, 9, 1]  # it is in force
        logits, gradients = logits_and_gradients(reduced)
    torch.testing.assert_close(logits, expected)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], msg=name)


def test_layer_is_whole_again_after_the_block() -> None:
    model = tiny_classifier("bert")
    with first_token_only(model):
        pass
    assert model(**batch(), output_hidden_states=True).hidden_states[-1].shape[1] == 9


@pytest.mark.parametrize("kind", ["distilbert", "albert", "deberta-v2", "modernbert"])
def test_other_architectures_are_left_alone(kind: str) -> None:
    model = tiny_classifier(kind)
    expected = model(**batch()).logits
    with first_token_only(model):
        torch.testing.assert_close(model(**batch()).logits, expected)
