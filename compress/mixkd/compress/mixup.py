"""One mixed batch: which examples are paired, with what λ, and what a model then gets as input.

Pairs are drawn on the CPU from a generator that the caller seeds by step, so the pairs of a step are the same
on every device, and after a resume.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mixkd.compress.weights import Mixing

Batch = dict[str, Tensor]
"""Tensors by name; the first dimension of each is B."""


@dataclass(frozen=True, slots=True)
class Mix:
    """M pairs of rows of one batch.

    Attributes:
        first: (M,) row indices i.
        second: (M,) row indices p(i); p has no fixed points where the batch has two rows or more.
        lam: (M,) λ_i, the weight of the first, float32.
    """

    first: Tensor
    second: Tensor
    lam: Tensor

    def to(self, device: torch.device) -> "Mix":
        """Return the mix on a device."""
        return Mix(self.first.to(device), self.second.to(device), self.lam.to(device))


def draw_mix(rows: int, mixing: Mixing, *, generator: torch.Generator | None = None) -> Mix:
    """Draw round(ratio · rows) pairs (at least one) and their λ ~ Beta(beta, beta).

    Args:
        rows: Rows of the batch, B.
        mixing: With a ratio above 1, a row is in more than one pair.
        generator: The source of randomness, on the CPU; None takes torch's global one.
    """
    wanted = max(1, round(mixing.ratio * rows))
    first, second = [], []
    for _ in range(-(-wanted // rows)):
        # One cycle through a random order: every row has a partner other than itself.
        order = torch.randperm(rows, generator=generator)
        first.append(order)
        second.append(order.roll(1))
    lam = _draw_beta(mixing.beta, 1 if mixing.per_batch else wanted, generator)
    return Mix(torch.cat(first)[:wanted], torch.cat(second)[:wanted], lam.expand(wanted).clone())


def _draw_beta(beta: float, count: int, generator: torch.Generator | None) -> Tensor:
    # Beta(a, a) = G1 / (G1 + G2) for two Gamma(a) variables; torch.distributions takes no generator.
    gammas = torch._standard_gamma(torch.full((2, count), beta, dtype=torch.float64), generator=generator)
    return (gammas[0] / gammas.sum(dim=0).clamp(min=torch.finfo(torch.float64).tiny)).float()


def mixed_inputs(model: PreTrainedModel, batch: Batch, mix: Mix, *, originals: bool) -> Batch:
    """Return a model's inputs for mixed examples: the one place where pairs become inputs.

    Args:
        model: Student or teacher; its own word embeddings are mixed.
        batch: `input_ids` and `attention_mask` of the original examples in the model's own tokens, (B, T),
            and `token_type_ids` where the tokenizer has them.
        mix: The M pairs.
        originals: Put the B original examples before the mixed ones.

    Returns:
        `inputs_embeds`, (M, T, H) or (B + M, T, H), and mask and segments of the same rows.
    """
    embeddings = model.get_input_embeddings()(batch["input_ids"])  # (B, T, H)
    mask = batch["attention_mask"]
    parts = {"inputs_embeds": [mix_embeddings(embeddings, mix)], "attention_mask": [mix_masks(mask, mix)]}
    if "token_type_ids" in batch:
        parts["token_type_ids"] = [mix_segments(batch["token_type_ids"], mask, mix)]
    if originals:
        unmixed = {**batch, "inputs_embeds": embeddings}
        parts = {name: [unmixed[name], *part] for name, part in parts.items()}
    return {name: torch.cat(part) for name, part in parts.items()}


def mix_embeddings(embeddings: Tensor, mix: Mix) -> Tensor:
    """e'_i = λ_i E[t_i] + (1-λ_i) E[t_p(i)]; position and segment embeddings are added later, by the model.

    Args:
        embeddings: (B, T, H) word embeddings, of padding too.
        mix: The M pairs.

    Returns:
        (M, T, H).
    """
    lam = mix.lam[:, None, None].to(embeddings.dtype)  # (M, 1, 1)
    return lam * embeddings[mix.first] + (1 - lam) * embeddings[mix.second]


def mix_masks(mask: Tensor, mix: Mix) -> Tensor:
    """m'_i = m_i OR m_p(i): a position is attended where either text has a token; (B, T) to (M, T)."""
    return mask[mix.first] | mask[mix.second]


def mix_segments(segments: Tensor, mask: Tensor, mix: Mix) -> Tensor:
    """Return the segment ids of the longer text of each pair, or of the first; (B, T) to (M, T).

    Ids can't be interpolated, and those of the longer text cover every attended position.
    """
    lengths = mask.sum(dim=1)  # (B,)
    first_is_longer = lengths[mix.first] >= lengths[mix.second]  # (M,)
    return torch.where(first_is_longer[:, None], segments[mix.first], segments[mix.second])
