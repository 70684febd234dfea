"""The order of the training texts: batches of similar lengths, so that little is spent on padding."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

_BATCHES_PER_POOL = 50
"""Batches per pool, within which texts are sorted by length: large pools pad less, small ones mix more."""


class LengthGroupedSampler(Sampler[int]):
    """Yields every index once per epoch, in batches of similar lengths; the order of the batches is random.

    The order depends on the seed and the epoch alone, so a resumed run has the same one. Pairs are mixed
    within a batch, so they have similar lengths too.
    """

    def __init__(self, lengths: NDArray[np.int32], *, batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order."""
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
        # A short batch must come last, else the batches after it would be cut at other places.
        short = [batch for batch in batches if len(batch) < self._batch_size]
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        for i in rng.permutation(len(whole)):
            yield from whole[i].tolist()
        for batch in short:
            yield from batch.tolist()
