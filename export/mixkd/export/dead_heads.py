"""Cuts the attention heads out of a student that add nothing: their columns of the output weights are zero.

`mkd distill --student-heads` leaves such heads in the model, because its config can't express fewer ones. A
graph needs no config: it is traced from a copy without them, whose logits are the same.
"""

import copy
import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mixkd.compress.families import (
    Family,
    channels_of,
    family_of,
    in_blocks,
    keep_inputs,
    keep_outputs,
    linear_in,
)
from mixkd.compress.student import layers_of


def without_dead_heads(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy without the heads that add nothing, or the model itself where there are none.

    The copy is good for tracing only: its config still has all heads. Each layer keeps at least one.

    Args:
        model: A classifier; one of an unknown architecture is returned as it is.
    """
    family, used = family_of(model), used_heads(model)
    heads = getattr(model.config, "num_attention_heads", 0)
    if family is None or all(len(kept) == heads for kept in used):
        return model
    smaller = copy.deepcopy(model)
    for layer, kept in zip(layers_of(smaller), used, strict=True):
        if len(kept) < heads:
            _cut_heads(layer, family, kept, heads)
    return smaller


def used_heads(model: PreTrainedModel) -> list[Tensor]:
    """Return each layer's heads that add something, ascending; no layers where their names aren't known."""
    family = family_of(model)
    if family is None or getattr(model.config, "pruned_heads", None):
        return []
    heads = model.config.num_attention_heads
    return [_used_heads(linear_in(layer, family.outward), heads) for layer in layers_of(model)]


def _used_heads(outward: nn.Linear, heads: int) -> Tensor:
    """Return the indices of the heads that add something, ascending; the first one if none does."""
    used = outward.weight.detach().unflatten(1, (heads, -1)).ne(0).any(2).any(0).nonzero().flatten()
    return used if len(used) else torch.tensor([0])


def _cut_heads(layer: nn.Module, family: Family, kept: Tensor, heads: int) -> None:
    outward = linear_in(layer, family.outward)
    width = outward.in_features
    channels = channels_of(kept, width // heads)
    for inward in family.inward_of(layer):
        keep_outputs(inward, in_blocks(channels, inward.out_features, width))
    keep_inputs(outward, channels)
    attention: Any = family.attention_of(layer)
    setattr(attention, family.heads, len(kept))
    setattr(attention, family.inner, len(channels))
    if family.bias_input is not None:
        # transformers 4 and 5 hand it over at different places, or by name.
        place = list(inspect.signature(attention.forward).parameters).index(family.bias_input)
        cut = partial(_cut_bias, family.bias_input, place, kept)
        attention.register_forward_pre_hook(cut, with_kwargs=True)


def _cut_bias(
    name: str, place: int, kept: Tensor, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if name in named:
        return inputs, named | {name: named[name][:, kept]}
    return (*inputs[:place], inputs[place][:, kept], *inputs[place + 1 :]), named
