"""The order of training: batches of near lengths, so that little is spent on padding."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

_BATCHES_PER_POOL = 50
"""Batches drawn together and sorted by length among themselves: large pools pad less, small ones mix more."""


class LengthGroupedSampler(Sampler[int]):
    """Every index once per epoch, in runs of `batch_size` near lengths; the runs' order is random.

    The order is a function of the seed and the epoch alone, so a resumed run sees the same one. Mixed pairs
    are drawn within a batch, so they too have near lengths.
    """

    def __init__(self, lengths: NDArray[np.int32], *, batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        order = rng.permutation(len(self._lengths))
        pool = self._batch_size * _BATCHES_PER_POOL
        batches = []
        for start in range(0, len(order), pool):
            near = order[start : start + pool]
            near = near[np.argsort(self._lengths[near], kind="stable")]
            batches += [near[i : i + self._batch_size] for i in range(0, len(near), self._batch_size)]
        # Only the last batch may be short, else every later one would straddle two runs.
        short = [batch for batch in batches if len(batch) < self._batch_size]
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        for i in rng.permutation(len(whole)):
            yield from whole[i].tolist()
        for batch in short:
            yield from batch.tolist()
