"""The task metrics, computed one way by every stage."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixkd.task import Task

HEADLINE = {Task.SINGLE_LABEL: "accuracy", Task.MULTI_LABEL: "micro_f1", Task.REGRESSION: "pearson"}
"""The one metric by which models are chosen and compared; higher is better for all three."""

_BINS = 15

_NOT_RATES = frozenset({"pearson", "spearman", "mse", "loss"})


def format_metric(name: str, value: float) -> str:
    """Return a metric for people: a rate as 95.11 %, a correlation or an error as 0.9511.

    Args:
        name: The metric, a key of what `evaluate` returns.
        value: A rate is a fraction of one.
    """
    return format_rate(value) if is_rate(name) else f"{value:.4f}"


def is_rate(name: str) -> bool:
    """Return whether a metric is a rate, a fraction of one; a correlation or an error isn't."""
    return name not in _NOT_RATES


def format_rate(value: float) -> str:
    """Return a fraction of one in percent, as 95.11 %."""
    return f"{100 * value:.2f} %"


def evaluate(logits: ArrayLike, targets: ArrayLike, task: Task) -> Mapping[str, float]:
    """Return the task's metrics over the labelled rows.

    Args:
        logits: (N, C), before softmax or sigmoid.
        targets: (N, C) rows as training uses them: one-hot or probabilities, multi-hot, or one number; a row
            with NaN has no label.
        task: What the outputs mean.

    Returns:
        accuracy and macro_f1; micro_f1 and exact_match; or pearson, spearman and mse. Fractions of one. Empty
        where no row is labelled.
    """
    scores, truth = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    labelled = ~np.isnan(truth).any(axis=1)
    scores, truth = scores[labelled], truth[labelled]
    if not len(truth):
        return {}
    match task:
        case Task.SINGLE_LABEL:
            return single_label_metrics(scores.argmax(axis=1), truth.argmax(axis=1))
        case Task.MULTI_LABEL:
            return _multi_label(scores > 0, truth > 0.5)
        case Task.REGRESSION:
            return _regression(scores[:, 0], truth[:, 0])


def single_label_metrics(answers: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy and macro F1 of (N,) answered classes against (N,) right ones.

    F1 is the mean over the classes that stand in either.
    """
    classes = int(max(answers.max(), truth.max())) + 1
    hits = np.bincount(truth[answers == truth], minlength=classes)
    found = np.bincount(answers, minlength=classes) + np.bincount(truth, minlength=classes)
    present = found > 0
    f1 = 2 * hits[present] / found[present]
    return {"accuracy": float((answers == truth).mean()), "macro_f1": float(f1.mean())}


def _multi_label(answers: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float]:
    found = answers.sum() + truth.sum()
    micro = float(2 * (answers & truth).sum() / found) if found else 1.0
    return {"micro_f1": micro, "exact_match": float((answers == truth).all(axis=1).mean())}


def _regression(answers: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    return {
        "pearson": _correlation(answers, truth),
        "spearman": _correlation(_ranks(answers), _ranks(truth)),
        "mse": float(np.square(answers - truth).mean()),
    }


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if first.std() == 0 or second.std() == 0:
        return 0.0  # a constant says nothing about the other
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return average ranks, ties sharing theirs; (N,)."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean_rank: NDArray[np.float64] = (ends - (counts - 1) / 2)[place]
    return mean_rank


def calibration_error(logits: ArrayLike, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: the mean of |confidence - accuracy| over confidence bins.

    Args:
        logits: (N, C).
        right: (N,) whether the most probable label was right.
    """
    wide = np.asarray(logits, np.float64)
    odds = np.exp(wide - wide.max(axis=1, keepdims=True))
    confidence = odds.max(axis=1) / odds.sum(axis=1)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.abs(np.bincount(bins, confidence - right, minlength=_BINS))
    return float(gaps.sum()) / max(len(right), 1)
