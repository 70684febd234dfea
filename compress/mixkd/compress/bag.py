"""A student without attention: the mean of a text's word embeddings, and a small network on it.

::

    token ids ─ table (V, E) ─ mean over the tokens ─ LayerNorm ─ Linear, GELU ─ classifier ─ logits
     (B, T)        (B, T, E)          (B, E)            (B, E)       (B, F)                   (B, C)

The order of the words is lost, and with it most negations; the two texts of a pair are one bag of words. It
takes microseconds. Special tokens have a row of zeros, which training leaves alone: the mean over all tokens
is then that over the others times a number, and the normalization takes any number away. So a mix of word
embeddings, λ e_i + (1-λ) e_j at each position, has the mean of the two texts' sums, and needs no token ids.

Importing this module makes the model known to `AutoConfig` and `AutoModelForSequenceClassification`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

BAG = "mixkd_bag"
"""The model type in a bag's config.json."""


WIDTH = 128
"""Columns of the table: in single trainings on clinc150 384 were no better, and 64 lost 0.3 points."""

_UNITS = 512


class BagConfig(PretrainedConfig):
    """The sizes of a bag.

    Args:
        vocab_size: Rows of the table, V.
        hidden_size: Its columns, E.
        intermediate_size: Units of the network, F.
        max_position_embeddings: The most tokens of a text; there is no table of positions.
        initializer_range: The standard deviation of new weights.
        kwargs: What every config has.
    """

    model_type = BAG

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = WIDTH,
        intermediate_size: int = _UNITS,
        max_position_embeddings: int = 512,
        initializer_range: float = 0.05,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.max_position_embeddings = max_position_embeddings
        self.initializer_range = initializer_range
        super().__init__(**kwargs)


class BagEmbeddings(nn.Embedding):
    """A table of word embeddings whose rows of zeros stay zero in training."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows of token ids, (B, T) to (B, T, E)."""
        rows: Tensor = super().forward(input)
        if not self.training:
            return rows
        return rows * rows.detach().any(dim=-1, keepdim=True)


class BagEncoder(nn.Module):
    """The part of a bag before its classifier."""

    def __init__(self, config: BagConfig) -> None:
        super().__init__()
        self.embeddings = BagEmbeddings(config.vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=1e-12)
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.dropout = nn.Dropout(0.0)

    def forward(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        """Return (B, F) from (B, T, E) word embeddings and a (B, T) mask."""
        total = (mask.to(embeddings.dtype).unsqueeze(1) @ embeddings).squeeze(1)  # (B, E)
        mean = self.norm(total)  # which takes away the number of tokens
        features: Tensor = self.dropout(nn.functional.gelu(self.dense(mean)))
        return features


class BagForSequenceClassification(PreTrainedModel):
    """A classifier of bags of words."""

    config_class = BagConfig
    base_model_prefix = "bag"

    def __init__(self, config: BagConfig) -> None:
        super().__init__(config)
        self.bag = BagEncoder(config)
        self.classifier = nn.Linear(config.intermediate_size, int(config.num_labels or 0))
        self.post_init()  # type: ignore[no-untyped-call]  # theirs

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of word embeddings."""
        return self.bag.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the table of word embeddings."""
        self.bag.embeddings = value  # type: ignore[assignment]  # any module from ids to rows

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Return the logits, (B, C).

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 1 for tokens and 0 for padding; None for no padding.
            inputs_embeds: (B, T, E), instead of the ids.
            output_hidden_states: Without effect: there are none.
            return_dict: Without effect.
        """
        if inputs_embeds is None:
            inputs_embeds = self.bag.embeddings(input_ids)
        if attention_mask is None:
            attention_mask = torch.ones(inputs_embeds.shape[:2], device=inputs_embeds.device)
        return SequenceClassifierOutput(logits=self.classifier(self.bag(inputs_embeds, attention_mask)))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


AutoConfig.register(BAG, BagConfig)
AutoModelForSequenceClassification.register(BagConfig, BagForSequenceClassification)


def make_bag(
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    longest: int,
    width: int = WIDTH,
    units: int = _UNITS,
) -> BagForSequenceClassification:
    """Return an untrained bag with its teacher's labels and the principal components of its embeddings.

    Args:
        teacher: A sequence classifier.
        tokenizer: Its tokenizer, for the special tokens; the unknown token counts as a word.
        longest: The most tokens of a text.
        width: Columns of the table, of which it has no more than the teacher's.
        units: Units of the network.
    """
    table = teacher.get_input_embeddings().get_parameter("weight").detach().float()
    special = torch.tensor(sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}))
    words = torch.ones(len(table), dtype=torch.bool)
    words[special] = False
    rows = table - table[words].mean(dim=0)
    width = min(width, table.shape[1])
    if width < table.shape[1]:
        _, axes = torch.linalg.eigh(rows[words].T @ rows[words])  # the largest last
        rows = rows @ axes[:, -width:]
    rows[special] = 0
    own = teacher.config
    config = BagConfig(
        vocab_size=len(table),
        hidden_size=width,
        intermediate_size=units,
        max_position_embeddings=longest,
        id2label=own.id2label,
        label2id=own.label2id,
        problem_type=own.problem_type,
        pad_token_id=own.pad_token_id,
    )
    bag = BagForSequenceClassification(config)
    with torch.no_grad():
        bag.get_parameter("bag.embeddings.weight").copy_(rows)
    bag.eval()  # type: ignore[no-untyped-call]  # theirs
    return bag
