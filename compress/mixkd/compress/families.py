"""The linear layers inside the layers of each encoder family, and how parts are cut out of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The names of one layer's linear layers, and of the config's settings.

    Attributes:
        up: Hidden state to neurons; a gated feed-forward has twice as many outputs, in two blocks.
        down: Neurons to hidden state.
        inward: Hidden state to queries, keys and values, in one or several linear layers.
        outward: All heads' outputs to hidden state.
        width: The config's number of neurons.
        heads: The number of heads, as an attribute of the module that holds `inward`.
        inner: The channels of all heads, likewise.
        bias_input: The name of a bias of the scores, (1, h, T, T), among the inputs of that module.
    """

    up: str = "intermediate.dense"
    down: str = "output.dense"
    inward: tuple[str, ...] = ("attention.self.query", "attention.self.key", "attention.self.value")
    outward: str = "attention.output.dense"
    width: str = "intermediate_size"
    heads: str = "num_attention_heads"
    inner: str = "all_head_size"
    bias_input: str | None = None

    def inward_of(self, layer: nn.Module) -> list[nn.Linear]:
        """Return the linear layers of `inward` that a layer has; DeBERTa-v2 may have none for positions."""
        there = {name for name, _ in layer.named_modules()}
        return [linear_in(layer, name) for name in self.inward if name in there]

    def attention_of(self, layer: nn.Module) -> nn.Module:
        """Return the module that splits a layer's hidden states into heads."""
        return layer.get_submodule(self.inward[0].rpartition(".")[0])


_BERT = Family()
FAMILIES: Mapping[str, Family] = {
    "albert": replace(
        _BERT,
        up="ffn",
        down="ffn_output",
        inward=("attention.query", "attention.key", "attention.value"),
        outward="attention.dense",
    ),
    "bert": _BERT,
    "camembert": _BERT,
    "deberta-v2": replace(
        _BERT,
        inward=tuple(
            f"attention.self.{name}_proj" for name in ("query", "key", "value", "pos_key", "pos_query")
        ),
    ),
    "distilbert": Family(
        up="ffn.lin1",
        down="ffn.lin2",
        inward=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        outward="attention.out_lin",
        width="hidden_dim",
        heads="n_heads",
        inner="dim",
    ),
    "electra": _BERT,
    "modernbert": Family(
        up="mlp.Wi", down="mlp.Wo", inward=("attn.Wqkv",), outward="attn.Wo", heads="num_heads"
    ),
    "mpnet": replace(
        _BERT,
        inward=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
        outward="attention.attn.o",
        bias_input="position_bias",
    ),
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}
"""By the config's model_type."""


def family_of(model: PreTrainedModel) -> Family | None:
    """Return the names in a model's layers; None where they aren't known."""
    return FAMILIES.get(model.config.model_type)


def linear_in(layer: nn.Module, name: str) -> nn.Linear:
    """Return one linear layer of a layer, by its name in `Family`."""
    linear = layer.get_submodule(name)
    assert isinstance(linear, nn.Linear)
    return linear


def channels_of(heads: Tensor, size: int) -> Tensor:
    """Return the channels of some heads of `size` channels each."""
    return (heads[:, None] * size + torch.arange(size)).flatten()


def in_blocks(kept: Tensor, outputs: int, width: int) -> Tensor:
    """Return the kept outputs of a linear layer that makes several blocks of `width` outputs at once."""
    return (torch.arange(0, outputs, width)[:, None] + kept).flatten()


def keep_outputs(linear: nn.Linear, kept: Tensor) -> None:
    """Cut all outputs but the kept ones out of a linear layer, in place."""
    linear.weight = nn.Parameter(linear.weight.detach()[kept])
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[kept])
    linear.out_features = len(kept)


def keep_inputs(linear: nn.Linear, kept: Tensor) -> None:
    """Cut all inputs but the kept ones out of a linear layer, in place."""
    linear.weight = nn.Parameter(linear.weight.detach()[:, kept].contiguous())
    linear.in_features = len(kept)
