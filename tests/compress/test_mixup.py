"""Pairs, shares and mixed inputs."""

import numpy as np
import pytest
import torch

from mixkd.compress.mixup import Mix, draw_mix, mix_embeddings, mix_masks, mix_segments
from mixkd.compress.weights import Mixing


def draw(rows: int, *, ratio: float = 1.0, beta: float = 0.4, per_batch: bool = False, seed: int = 0) -> Mix:
    generator = torch.Generator().manual_seed(seed)
    return draw_mix(rows, Mixing(ratio=ratio, beta=beta, per_batch=per_batch), generator=generator)


@pytest.mark.parametrize("rows", [2, 3, 32])
def test_pairs_are_a_permutation_without_fixed_points(rows: int) -> None:
    mix = draw(rows)
    assert sorted(mix.first.tolist()) == sorted(mix.second.tolist()) == list(range(rows))
    assert (mix.first != mix.second).all()


def test_pair_is_the_row_itself_when_the_batch_has_one_row() -> None:
    mix = draw(1)
    assert mix.first.tolist() == mix.second.tolist() == [0]


@pytest.mark.parametrize(("ratio", "pairs"), [(0.25, 8), (0.5, 16), (1.0, 32), (2.5, 80), (0.001, 1)])
def test_ratio_gives_that_many_pairs_per_row(ratio: float, pairs: int) -> None:
    mix = draw(32, ratio=ratio)
    assert len(mix.first) == len(mix.second) == len(mix.lam) == pairs


def test_draws_are_equal_when_seeds_are_and_differ_otherwise() -> None:
    one, same, other = draw(16), draw(16), draw(16, seed=1)
    assert torch.equal(one.first, same.first)
    assert torch.equal(one.lam, same.lam)
    assert not torch.equal(one.lam, other.lam)


@pytest.mark.parametrize("beta", [0.2, 0.4, 1.0, 4.0])
def test_lambda_has_the_moments_of_the_beta_distribution(beta: float) -> None:
    lam = torch.cat([draw(500, beta=beta, seed=seed).lam for seed in range(20)]).numpy()
    assert lam.min() >= 0
    assert lam.max() <= 1
    assert lam.mean() == pytest.approx(0.5, abs=0.02)
    assert lam.var() == pytest.approx(1 / (4 * (2 * beta + 1)), rel=0.05)


def test_lambda_is_one_number_when_drawn_per_batch() -> None:
    assert len(draw(16, per_batch=True).lam.unique()) == 1
    assert len(draw(16).lam.unique()) > 1


def test_embeddings_equal_the_numpy_interpolation() -> None:
    embeddings = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    mix = draw(5)
    e, lam = embeddings.numpy(), mix.lam.numpy()
    for row, (i, j) in enumerate(zip(mix.first, mix.second, strict=True)):
        expected = lam[row] * e[i] + (1 - lam[row]) * e[j]
        np.testing.assert_allclose(mix_embeddings(embeddings, mix)[row].numpy(), expected, rtol=1e-6)


def test_mask_covers_both_texts() -> None:
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    mix = Mix(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]), torch.tensor([0.5, 0.5, 0.5]))
    assert mix_masks(mask, mix).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]]


def test_segments_follow_the_longer_text() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    segments = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 0]])
    mix = Mix(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.1, 0.1]))
    assert mix_segments(segments, mask, mix).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]
