"""The score below which a classifier abstains: what it does, and which is best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """What a threshold does, measured; rates are fractions of one.

    Attributes:
        in_scope_accuracy: The share of in-scope texts that get their label; abstaining counts as an error.
        in_scope_accuracy_before: The same without a threshold.
        out_of_scope_recall: The share of out-of-scope texts on which the classifier abstains.
        in_scope_texts: The number of in-scope texts.
        out_of_scope_texts: The number of out-of-scope texts.
    """

    in_scope_accuracy: float
    in_scope_accuracy_before: float
    out_of_scope_recall: float
    in_scope_texts: int
    out_of_scope_texts: int


@dataclass(frozen=True, slots=True)
class Scores:
    """The best label's score and correctness for in-scope texts, and its score for out-of-scope texts."""

    inside: NDArray[np.float64]
    right: NDArray[np.bool_]
    outside: NDArray[np.float64]

    def at(self, threshold: float) -> Abstention:
        """Return what a threshold does to them."""
        return Abstention(
            in_scope_accuracy=float(np.mean(self.right & (self.inside >= threshold))),
            in_scope_accuracy_before=float(np.mean(self.right)),
            out_of_scope_recall=float(np.mean(self.outside < threshold)),
            in_scope_texts=len(self.inside),
            out_of_scope_texts=len(self.outside),
        )


def best_threshold(
    inside: NDArray[np.float64], right: NDArray[np.bool_], outside: NDArray[np.float64]
) -> float:
    """Return the lowest threshold that maximizes the mean of in-scope accuracy and out-of-scope recall.

    Args:
        inside: (N,) scores of texts in scope.
        right: (N,) whether the best label of each is right.
        outside: (M,) scores of texts out of scope.
    """
    # Between two neighbouring scores nothing changes: take the middle.
    scores = np.unique(np.concatenate([inside, outside]))
    candidates = np.concatenate([[0.0], (scores[1:] + scores[:-1]) / 2])
    kept = np.sort(inside[right])
    accuracy = (len(kept) - np.searchsorted(kept, candidates)) / len(inside)
    recall = np.searchsorted(np.sort(outside), candidates) / len(outside)
    return float(candidates[np.argmax(accuracy + recall)])
