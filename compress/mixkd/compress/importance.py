"""The importance of feed-forward neurons and attention heads: how much the logits change without them.

A unit is a neuron or a head. Its output is multiplied by a gate g = 1; to remove it is to set g = 0, which to
first order changes logit c of a text by -∂z_c/∂g. The importance of a unit is the sum over texts of
Σ_c (∂z_c/∂g)²: the squared distance to the teacher's logits that its removal alone would cause. That needs
neither labels nor a task. For random signs s, E[(Σ_c s_c ∂z_c/∂g)²] = Σ_c (∂z_c/∂g)², so that one backward
pass per batch estimates it for all units.

Related: Michel et al., Are Sixteen Heads Really Better than One? (2019), gates with the gradient of a loss.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedModel

from mixkd.compress.checkpoints import model_inputs
from mixkd.compress.data import Collator, token_counts
from mixkd.compress.first_token import first_token_only
from mixkd.compress.mixup import Batch
from mixkd.compress.processes import process_state
from mixkd.progress import Progress, no_progress

MEASURED = 2048
"""Texts that importance is measured on; half of them choose 93 % of the same neurons, where half are kept."""

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Units:
    """The units that feed one linear layer.

    Attributes:
        reader: Sums up their outputs; F inputs.
        count: Units, U: F neurons, or heads of F / U neighbouring inputs each.
    """

    reader: nn.Linear
    count: int


def sample_batches(rows: Dataset, collator: Collator, *, progress: Progress = no_progress) -> Iterator[Batch]:
    """Yield batches of evenly spaced texts, `MEASURED` in all.

    Args:
        rows: Tokenised training rows.
        collator: Of the same tokenizer.
        progress: Called with the texts done, in the first process.
    """
    tell = progress if process_state().is_main_process else no_progress
    chosen = np.unique(np.linspace(0, len(rows) - 1, MEASURED).round().astype(int))
    chosen = chosen[np.argsort(token_counts(rows)[chosen], kind="stable")]  # near lengths together
    for start in range(0, len(chosen), _BATCH):
        part = chosen[start : start + _BATCH]
        yield collator([rows[int(i)] for i in part])
        tell("measuring the importance of neurons and heads", start + len(part), len(chosen))


def measure_importance(
    model: PreTrainedModel, units: Sequence[Units], batches: Iterable[Batch], *, seed: int
) -> list[Tensor]:
    """Return the importance of every unit, (U,) for each of `units`, summed over the texts.

    Where layers share a linear layer (ALBERT), the importance is that of its units in all of them.

    Args:
        model: In evaluation mode; moved to the device that training will use.
        units: Of linear layers inside the model.
        batches: `input_ids` and `attention_mask`, (B, T), and `token_type_ids` where the model has them.
        seed: Of the random signs.
    """
    signs = torch.Generator().manual_seed(seed)
    gates: dict[int, Tensor] = {}
    found = [torch.zeros(some.count) for some in units]
    nn.Module.to(model, process_state().device)
    with ExitStack() as stack:
        stack.enter_context(first_token_only(model))
        for index, some in enumerate(units):
            hook = partial(_gated, gates, index, some.count)
            stack.callback(some.reader.register_forward_pre_hook(hook).remove)
        for batch in batches:
            gates.clear()
            inputs = model_inputs(model, batch)
            logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).logits
            sign = torch.randint(0, 2, logits.shape, generator=signs).mul_(2).sub_(1).to(logits)
            for index, slope in zip(
                gates, torch.autograd.grad((sign * logits).sum(), list(gates.values())), strict=True
            ):
                found[index] += slope.flatten(1).square().sum(0).cpu()  # (B, 1, U, 1) to (U,)
    return found


def _gated(
    gates: dict[int, Tensor], index: int, count: int, _: nn.Module, inputs: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Multiply the (B, T, F) input of a linear layer by its gates, one per text and unit, all 1."""
    (states,) = inputs
    if index not in gates:  # a shared layer meets its gates again
        gates[index] = torch.ones(len(states), 1, count, 1, device=states.device, requires_grad=True)
    return ((states.unflatten(-1, (count, -1)) * gates[index]).flatten(-2),)
