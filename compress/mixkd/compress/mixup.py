"""One mixed batch: which examples are paired, in what shares, and what the model then sees.

Everything is drawn on the CPU from a generator that the caller seeds by step, so the pairs and shares of a
step are the same on every device, and after a resume.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mix:
    """M pairs of rows of one batch.

    Attributes:
        first: (M,) row indices i.
        second: (M,) row indices p(i), p without fixed points where the batch has two rows or more.
        lam: (M,) λ_i, the share of the first, float32.
    """

    first: Tensor
    second: Tensor
    lam: Tensor

    def to(self, device: torch.device) -> "Mix":
        """Return the mix on a device."""
        return Mix(self.first.to(device), self.second.to(device), self.lam.to(device))


def draw_mix(rows: int, *, ratio: float, beta: float, per_batch: bool, generator: torch.Generator) -> Mix:
    """Draw round(ratio · rows) pairs (at least one) and their λ ~ Beta(beta, beta).

    Args:
        rows: Rows of the batch, B.
        ratio: Mixed examples per original; above 1 a row is paired more than once.
        beta: Both parameters of the Beta distribution, above 0.
        per_batch: One λ for the whole batch instead of one per pair.
        generator: Where the randomness comes from, on the CPU.
    """
    wanted = max(1, round(ratio * rows))
    first, second = [], []
    for _ in range(-(-wanted // rows)):
        # One cycle through a random order: every row has a partner, none is its own.
        order = torch.randperm(rows, generator=generator)
        first.append(order)
        second.append(order.roll(1))
    lam = _draw_beta(beta, 1 if per_batch else wanted, generator)
    return Mix(torch.cat(first)[:wanted], torch.cat(second)[:wanted], lam.expand(wanted).clone())


def _draw_beta(beta: float, count: int, generator: torch.Generator) -> Tensor:
    # Beta(a, a) = G1 / (G1 + G2) for two Gamma(a) variables; torch.distributions takes no generator.
    gammas = torch._standard_gamma(torch.full((2, count), beta, dtype=torch.float64), generator=generator)
    return (gammas[0] / gammas.sum(dim=0).clamp(min=torch.finfo(torch.float64).tiny)).float()


def mix_embeddings(embeddings: Tensor, mix: Mix) -> Tensor:
    """e'_i = λ_i E[t_i] + (1-λ_i) E[t_p(i)]; position and segment embeddings are added later, by the model.

    Args:
        embeddings: (B, T, H) word embeddings; where a text is shorter, those of its padding.
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
    """Segment ids of the longer text of each pair, of the first one in a tie; (B, T) to (M, T).

    Ids can't be interpolated, and the longer text's cover every attended position.
    """
    lengths = mask.sum(dim=1)  # (B,)
    first_is_longer = lengths[mix.first] >= lengths[mix.second]  # (M,)
    return torch.where(first_is_longer[:, None], segments[mix.first], segments[mix.second])
