"""Which texts are used to train, and which are held out to validate; both are stratified samples."""

import numpy as np
from numpy.typing import NDArray

from mixkd.compress.inputs import Selection

HELD_OUT_SHARE = 0.1
"""The share of the training texts that is used to validate where the data has no validation split."""


def choose_rows(
    classes: NDArray[np.int64], selection: Selection, *, hold_out: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the rows that train, and of those held out to validate, ascending.

    Args:
        classes: (N,) a class per row; the numbers of the classes make no difference.
        selection: Chooses among the rows that aren't held out.
        hold_out: Whether to hold out `HELD_OUT_SHARE`.
    """
    rows = np.arange(len(classes))
    held_out = rows[:0]
    if hold_out:
        held_out = _stratified(classes, HELD_OUT_SHARE, np.random.default_rng(selection.seed))
        rows = np.setdiff1d(rows, held_out)
    return rows[_choose(classes[rows], selection, np.random.default_rng(selection.seed))], held_out


def _choose(classes: NDArray[np.int64], selection: Selection, rng: np.random.Generator) -> NDArray[np.int64]:
    order = rng.permutation(len(classes))
    if selection.train_per_class is not None:
        ranks = _rank_in_class(classes[order])
        order = order[ranks < selection.train_per_class]
    share = selection.train_fraction
    if selection.train_limit is not None:
        share = min(share, selection.train_limit / len(order))
    if share < 1:
        order = order[_stratified(classes[order], share, rng)]
    return np.sort(order)


def _stratified(classes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return round(share · N) row numbers, each class at its share to within one row."""
    order = rng.permutation(len(classes))
    sizes = np.bincount(classes)[classes[order]]
    # Rows sorted by their relative rank in their class: any prefix holds the same share of every class.
    position = (_rank_in_class(classes[order]) + 0.5) / sizes
    wanted = max(1, round(share * len(classes)))
    return np.sort(order[np.argsort(position, kind="stable")[:wanted]])


def _rank_in_class(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row how many rows of its class stand before it; (N,)."""
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], classes[order])
    ranks = np.empty(len(classes), np.int64)
    ranks[order] = np.arange(len(classes)) - starts
    return ranks
