"""From scores to what an app reads: labels, and the label for abstaining."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import BundleError
from mixkd.task import Task

_INFINITY = float("inf")


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The answer to one text.

    Attributes:
        label: The best label, or the abstain label; for a regression the output's name.
        score: The best label's probability, also if the classifier abstained; for a regression the value.
        truncated: Whether the text was longer than the model reads, so that its end was ignored.
        abstained: Whether no label reached the threshold.
        labels: For a multi-label task the labels that reached the threshold, best first; else empty.
        top: The `top_k` best labels with their scores.
    """

    label: str
    score: float
    truncated: bool = False
    abstained: bool = False
    labels: tuple[str, ...] = ()
    top: tuple[tuple[str, float], ...] = ()

    def __repr__(self) -> str:
        shown = [
            f"{entry.name}={getattr(self, entry.name)!r}"
            for entry in fields(self)
            if entry.name in {"label", "score"} or getattr(self, entry.name) != entry.default
        ]
        return f"Prediction({', '.join(shown)})"


class Reader:
    """How the scores of one bundle are read.

    Attributes:
        task: What the outputs mean.
        labels: One name per output; (C,).
        threshold: The probability from which a label counts; None always takes the best label.
        abstain_label: The answer if no label reaches the threshold.
    """

    def __init__(
        self, *, task: Task, labels: tuple[str, ...], threshold: float | None, abstain_label: str
    ) -> None:
        self.task = task
        self.labels = labels
        self.threshold = threshold
        self.abstain_label = abstain_label

    def read(self, scores: NDArray[np.float32], truncated: Sequence[bool], top_k: int) -> list[Prediction]:
        """Return one prediction per row of (N, C) scores: probabilities, or the values of a regression."""
        return [self.read_one(row, cut, top_k) for row, cut in zip(scores, truncated, strict=True)]

    def read_one(self, scores: NDArray[np.float32], truncated: bool, top_k: int = 0) -> Prediction:
        """Return the prediction of one row of scores, (C,)."""
        if top_k or self.task is not Task.SINGLE_LABEL:
            return self._ranked(scores, truncated, top_k)
        # The common case, with as few operations as possible: each costs as much as a token.
        best = scores.argmax()
        score = scores.item(best)
        # The first NaN counts as the largest and as the least.
        if not (score < _INFINITY and scores.item(scores.argmin()) > -_INFINITY):
            check_finite(scores)
        abstained = self.threshold is not None and score < self.threshold
        label = self.abstain_label if abstained else self.labels[best]
        return Prediction(label, score, truncated, abstained)

    def _ranked(self, scores: NDArray[np.float32], truncated: bool, top_k: int) -> Prediction:
        check_finite(scores)
        order = np.argsort(-scores, kind="stable")
        ranked = [(self.labels[i], float(scores[i])) for i in order]
        label, score = ranked[0]
        top = tuple(ranked[:top_k])
        if self.task is Task.REGRESSION:
            return Prediction(label, score, truncated, top=top)
        labels: tuple[str, ...] = ()
        abstained = self.threshold is not None and score < self.threshold
        if self.task is Task.MULTI_LABEL:
            least = 0.5 if self.threshold is None else self.threshold
            labels = tuple(name for name, share in ranked if share >= least)
            abstained = not labels
        return Prediction(
            self.abstain_label if abstained else label, score, truncated, abstained, labels, top
        )


def check_finite(scores: NDArray[np.float32]) -> None:
    """Refuse scores of which any is NaN or infinite: they are no answer.

    Raises:
        BundleError: If any is.
    """
    if not np.isfinite(scores).all():
        raise BundleError("the graph gives NaN or infinity for a text: export the bundle again")


def finite_copy(scores: NDArray[np.float32], _truncated: bool) -> NDArray[np.float32]:
    """Return a copy of scores, checked as by `check_finite`."""
    check_finite(scores)
    return scores.copy()
