"""A student narrower than its teacher: the most important feed-forward neurons and attention heads are kept.

Neurons are cut out: every family's config has a feed-forward width, so that the narrower student is a plain
Hugging Face model. Heads can't be: in every family their size is the hidden size divided by their number, so
that fewer heads would be larger ones. (`pruned_heads`, which expressed it, is gone from transformers 5.) All
weights of a removed head are set to zero instead. The model answers as without the head, training can't
revive it, since the gradients of its weights are zero too, and `mkd export` cuts it out of the graph.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mixkd.compress.families import (
    FAMILIES,
    Family,
    channels_of,
    family_of,
    in_blocks,
    keep_inputs,
    keep_outputs,
    linear_in,
)
from mixkd.compress.importance import Units, measure_importance
from mixkd.compress.mixup import Batch
from mixkd.compress.shape import AUTO, Keep
from mixkd.compress.student import kept_layers, layers_of
from mixkd.errors import ConfigError, ModelError
from mixkd.options import must_be

NARROWED_FROM = "narrowed_from"
"""The key in a narrowed student's config.json of the `ffn` and `heads` that its teacher's layers have."""


@dataclass(frozen=True, slots=True)
class Widths:
    """What every layer keeps; None keeps all.

    Attributes:
        ffn: Feed-forward neurons.
        heads: Attention heads.
    """

    ffn: int | None
    heads: int | None


def planned_widths(teacher: PreTrainedModel, *, ffn: int | str | None, heads: int | None) -> Widths | None:
    """Return the widths that are asked for; None where the student is as wide as its teacher.

    Args:
        teacher: What the student is cut out of.
        ffn: Neurons; `AUTO` for half of the teacher's, None for all.
        heads: Heads; None for all.

    Raises:
        ConfigError: If the teacher has fewer of them.
        ModelError: If the layers of this architecture aren't known, or heads were removed from it before.
    """
    if ffn is None and heads is None:
        return None
    config, family = teacher.config, _family_of(teacher)
    neurons, most = getattr(config, family.width), config.num_attention_heads
    if ffn == AUTO:
        ffn = max(1, neurons // 2)
    assert not isinstance(ffn, str)  # `StudentShape` takes no other word
    for name, value, limit in (("ffn", ffn, neurons), ("heads", heads, most)):
        if value is not None and not 1 <= value <= limit:
            raise ConfigError(must_be(f"student_{name}", f"from 1 to {limit}, the teacher's", value))
    if heads not in (None, most) and getattr(config, "pruned_heads", None):
        raise ModelError(
            f"this {config.model_type} has layers of different numbers of heads (pruned_heads): "
            "leave out --student-heads"
        )
    widths = Widths(None if ffn == neurons else ffn, None if heads == most else heads)
    return None if widths == Widths(None, None) else widths


def narrow(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    widths: Widths,
    batches: Iterable[Batch],
    *,
    keep: Keep = Keep.FIRST,
    seed: int = 0,
) -> None:
    """Leave in each of the student's layers only the units that matter most to its teacher's logits.

    Args:
        student: Cut out of the teacher by `cut_layers`, weights unchanged; narrowed in place.
        teacher: In evaluation mode; asked with gradients, and not changed.
        widths: As `planned_widths` returns them.
        batches: Texts, as `measure_importance` takes them.
        keep: Which layers of the teacher were kept.
        seed: Of the measurement.
    """
    family = _family_of(teacher)
    heads = teacher.config.num_attention_heads
    ours, theirs = layers_of(student), layers_of(teacher)
    sources = [theirs[i] for i in kept_layers(len(theirs), len(ours), keep)]
    units = [Units(linear_in(layer, family.outward), heads) for layer in sources]
    for layer in sources:
        down = linear_in(layer, family.down)
        units.append(Units(down, down.in_features))
    found = measure_importance(teacher, units, batches, seed=seed)
    for layer, of_heads, of_neurons in zip(ours, found[: len(ours)], found[len(ours) :], strict=True):
        if widths.ffn is not None:
            _keep_neurons(layer, family, _best(of_neurons, widths.ffn))
        if widths.heads is not None:
            _zero_heads(layer, family, _best(of_heads, widths.heads), heads)
    whole = {"ffn": getattr(teacher.config, family.width), "heads": heads}
    setattr(student.config, NARROWED_FROM, whole)
    if widths.ffn is not None:
        setattr(student.config, family.width, widths.ffn)


def _family_of(model: PreTrainedModel) -> Family:
    family = family_of(model)
    if family is None:
        raise ModelError(
            f"{type(model).__name__} ({model.config.model_type}) can't be narrowed, only "
            f"{', '.join(FAMILIES)}: leave out --student-ffn and --student-heads, or give a smaller model "
            "with --student"
        )
    return family


def _best(importance: Tensor, count: int) -> Tensor:
    """Return the indices of the most important units, (count,), ascending."""
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def _keep_neurons(layer: nn.Module, family: Family, kept: Tensor) -> None:
    up, down = linear_in(layer, family.up), linear_in(layer, family.down)
    keep_outputs(up, in_blocks(kept, up.out_features, down.in_features))
    keep_inputs(down, kept)


def _zero_heads(layer: nn.Module, family: Family, kept: Tensor, heads: int) -> None:
    """Set all weights of all heads but the kept ones to zero."""
    outward = linear_in(layer, family.outward)
    size = outward.in_features // heads
    channels = channels_of(kept, size)
    for inward in family.inward_of(layer):
        rows = in_blocks(channels, inward.out_features, outward.in_features)
        _zero_others(inward.weight, rows)
        if inward.bias is not None:
            _zero_others(inward.bias, rows)
    _zero_others(outward.weight.T, channels)


def _zero_others(weight: Tensor, kept: Tensor) -> None:
    others = torch.ones(len(weight), dtype=torch.bool)
    others[kept] = False
    with torch.no_grad():
        weight[others] = 0
