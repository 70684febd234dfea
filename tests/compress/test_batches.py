"""The order of training."""

import numpy as np
import pytest

from mixkd.compress.batches import LengthGroupedSampler

LENGTHS = np.random.default_rng(0).integers(4, 60, 1003).astype(np.int32)


def order(epoch: int = 0, seed: int = 0) -> list[int]:
    sampler = LengthGroupedSampler(LENGTHS, batch_size=16, seed=seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_row_comes_once_an_epoch() -> None:
    assert sorted(order()) == list(range(1003))


def test_batches_hold_near_lengths() -> None:
    grouped = np.array(order())
    padded = sum(LENGTHS[grouped[i : i + 16]].max() * len(grouped[i : i + 16]) for i in range(0, 1003, 16))
    shuffled = np.random.default_rng(1).permutation(1003)
    plain = sum(LENGTHS[shuffled[i : i + 16]].max() * len(shuffled[i : i + 16]) for i in range(0, 1003, 16))
    assert padded < 1.05 * LENGTHS.sum() < plain / 1.5


def test_order_is_fixed_by_seed_and_epoch() -> None:
    assert order() == order()
    assert order() != order(epoch=1)
    assert order() != order(seed=1)


@pytest.mark.parametrize("rows", [1, 15, 16, 17])
def test_small_sets_come_whole(rows: int) -> None:
    assert sorted(LengthGroupedSampler(LENGTHS[:rows], batch_size=16, seed=0)) == list(range(rows))
