"""From raw outputs to what an app reads: labels, scores, abstention."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mixkd.runtime.bundle import Task


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The answer to one text.

    Attributes:
        label: The best label, or the abstain label; of a regression the output's name.
        score: The best label's probability, also where `label` abstains; of a regression the value itself.
        truncated: Whether the text was longer than the model reads: only its beginning was answered for.
        abstained: Whether no label reached the threshold.
        labels: Of a multi-label task every label that reached the threshold, best first; else empty.
        top: The best labels and their scores, as many as were asked for with `top_k`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How the outputs of one bundle are read.

    Attributes:
        task: What the outputs mean.
        labels: One name per output; (C,).
        threshold: The least score that counts, a probability; None lets the best label always count.
        abstain_label: The label where none counts.
    """

    task: Task
    labels: tuple[str, ...]
    threshold: float | None
    abstain_label: str

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, C): softmax, sigmoid where labels are independent, or the values of a regression."""
        if self.task is Task.REGRESSION:
            return logits
        if self.task is Task.MULTI_LABEL:
            return sigmoid(logits)
        return softmax(logits)

    def read(self, logits: NDArray[np.float32], truncated: Sequence[bool], top_k: int) -> list[Prediction]:
        """Return one prediction per row of (N, C) outputs."""
        return [self.read_one(row, cut, top_k) for row, cut in zip(logits, truncated, strict=True)]

    def read_one(self, logits: NDArray[np.float32], truncated: bool, top_k: int) -> Prediction:
        """Return the prediction of one row of outputs, (C,)."""
        if top_k or self.task is not Task.SINGLE_LABEL:
            return self._ranked(self.scores(logits[None])[0], truncated, top_k)
        # The common case with as few operations as it takes: each costs as much as a token, numpy's own sum
        # more than a list and Python's.
        best = logits.argmax()
        score = 1 / sum(np.exp(logits - logits[best]).tolist())
        abstained = self.threshold is not None and score < self.threshold
        label = self.abstain_label if abstained else self.labels[best]
        return Prediction(label, score, truncated, abstained)

    def _ranked(self, scores: NDArray[np.float32], truncated: bool, top_k: int) -> Prediction:
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


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, C) probabilities that add up to one in each row."""
    exponents: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    exponents /= exponents.sum(axis=1, keepdims=True)
    return exponents


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, C) probabilities, each for itself."""
    # Beyond the clip float32 can't tell the result from 0 or 1, but would warn of an overflow.
    exponents: NDArray[np.float32] = np.exp(-np.clip(logits, -80, 80))
    shares: NDArray[np.float32] = np.reciprocal(exponents + np.float32(1))
    return shares
