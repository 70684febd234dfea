"""Skips the positions of the last layer that a classifier doesn't read.

A classification head that reads only the first token needs, in the last layer, the keys and values of every
position, but query, attention output and feed-forward of the first position alone::

    layer N-1 output  (B, T, H)
        │        └───────────────┐
        ▼ [:, :1]                ▼
      query (B, 1, H)     key, value (B, T, H)
        └────────► attention ◄───┘
                       ▼
        output, feed-forward (B, 1, H)  ──►  head reads [:, 0]

Logits and gradients are those of the whole layer; a 3-layer model does a quarter less work. The export stage
makes the same cut in the graph for every architecture; here it is made for the BERT family.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from transformers import PreTrainedModel, __version__

_FIRST_TOKEN_HEADS = {"bert", "roberta", "xlm-roberta", "electra", "camembert"}
"""Model types with BERT's layer whose classification head reads the first position."""

_IN_A_TUPLE = __version__.startswith("4.")
"""Whether a layer's forward returns a tuple, as before transformers 5."""


@contextmanager
def first_token_only(model: PreTrainedModel) -> Iterator[None]:
    """Let the model's last layer compute only the first position while the block runs.

    Models of other types are left as they are. Inside the block the last hidden state is (B, 1, H).
    """
    layer = _last_layer(model)
    if layer is None:
        yield
        return

    def forward(
        hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any
    ) -> Tensor | tuple[Tensor]:
        output = _first_position(layer, hidden_states, attention_mask)
        return (output,) if _IN_A_TUPLE else output

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward  # the class's own is found again


def _last_layer(model: PreTrainedModel) -> nn.Module | None:
    config = model.config
    if config.model_type not in _FIRST_TOKEN_HEADS or config.is_decoder:
        return None
    if getattr(config, "position_embedding_type", "absolute") not in {None, "absolute"}:
        return None  # relative positions are part of the attention
    encoder: Any = model.base_model.encoder
    layer: nn.Module = encoder.layer[-1]
    return layer


def _first_position(layer: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Return (B, 1, H) from (B, T, H) and an additive or boolean (B, 1, T or 1, T) mask, or None."""
    attention, first = layer.attention.self, hidden[:, :1]

    def heads(states: Tensor) -> Tensor:
        split: Tensor = states.unflatten(-1, (attention.num_attention_heads, -1))
        return split.transpose(1, 2)  # (B, h, T, d)

    context = F.scaled_dot_product_attention(
        heads(attention.query(first)),
        heads(attention.key(hidden)),
        heads(attention.value(hidden)),
        attn_mask=None if mask is None else mask[:, :, :1],
        dropout_p=attention.dropout.p if attention.training else 0.0,
    )  # (B, h, 1, d)
    attended = layer.attention.output(context.transpose(1, 2).flatten(2), first)
    output: Tensor = layer.feed_forward_chunk(attended)
    return output
