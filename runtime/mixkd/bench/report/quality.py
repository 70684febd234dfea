"""The quality of answers: compared with the labels, and with the reference's answers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.report.figures import Interval, Quality
from mixkd.bench.report.intervals import Floats, Resampling, bootstrap, mean_interval, wilson
from mixkd.corpus.corpus import Label
from mixkd.labels import LabelSpace
from mixkd.metrics import HEADLINE, evaluate, single_label_metrics
from mixkd.task import Task


def truth(labels: Sequence[Label], names: Sequence[str], task: Task) -> NDArray[np.float64]:
    """Return the labels as target rows, (N, C), as `mixkd.labels.LabelSpace.target` makes them.

    Args:
        labels: (N,) as read from the data; a row without label becomes NaN.
        names: The bundle's labels; (C,).
        task: What they mean.

    Raises:
        DataError: If a label is not one of the names.
    """
    space = LabelSpace(task, tuple(names))
    rows = [space.target(*space.encode(label, where="the data")) for label in labels]
    return np.array(rows, np.float64).reshape(len(labels), len(names))


def judge(
    logits: Floats, target: Floats, reference: Floats | None, *, task: Task, resampling: Resampling
) -> Quality:
    """Compare logits with the labels and with the reference's logits.

    Args:
        logits: (N, C).
        target: (N, C) of `truth`.
        reference: (N, C), usually the teacher's; NaN on rows that it didn't answer; None without a reference.
        task: What the outputs mean.
        resampling: How the bootstrap draws.
    """
    labelled = ~np.isnan(target).any(axis=1)
    agreement = kl_nats = None
    both = None if reference is None else ~np.isnan(reference).any(axis=1)
    if reference is not None and both is not None and both.any() and task is not Task.REGRESSION:
        ours, theirs = logits[both], reference[both]
        same = (decide(ours, task) == decide(theirs, task)).all(axis=1)
        agreement = wilson(int(same.sum()), len(same))
        kl_nats = mean_interval(divergence(theirs, ours, task), resampling)
    metrics = evaluate(logits, target, task)
    known, right = logits[labelled], target[labelled]
    return Quality(
        rows=len(logits),
        labelled_rows=len(known),
        headline=_headline(known, right, task, resampling) if metrics else None,
        metrics=metrics,
        macro_f1=_macro_f1(known, right, resampling) if metrics and task is Task.SINGLE_LABEL else None,
        agreement=agreement,
        kl_nats=kl_nats,
    )


def _headline(logits: Floats, target: Floats, task: Task, resampling: Resampling) -> Interval:
    """Return the main metric: a share of rows by Wilson, anything else by bootstrap over rows."""

    def metric(drawn: NDArray[np.int64]) -> float:
        return evaluate(logits[drawn], target[drawn], task)[HEADLINE[task]]

    if task is Task.SINGLE_LABEL:
        return wilson(round(metric(np.arange(len(logits))) * len(logits)), len(logits))
    return bootstrap(len(logits), metric, resampling)


def _macro_f1(logits: Floats, target: Floats, resampling: Resampling) -> Interval:
    answers, right = logits.argmax(axis=1), target.argmax(axis=1)

    def metric(drawn: NDArray[np.int64]) -> float:
        return single_label_metrics(answers[drawn], right[drawn])["macro_f1"]

    return bootstrap(len(answers), metric, resampling)


def decide(logits: Floats, task: Task) -> Floats:
    """Return the labels that are answered: (N, C), one per label that holds."""
    if task is Task.MULTI_LABEL:
        return (logits > 0).astype(np.float64)
    return np.asarray(np.eye(logits.shape[1])[logits.argmax(axis=1)])


def divergence(reference: Floats, logits: Floats, task: Task) -> Floats:
    """Return KL(reference || logits) per row, (N,), in nats; several labels: the sum over the labels."""
    if task is Task.MULTI_LABEL:
        zeros = np.zeros_like(reference)
        reference = np.stack([reference, zeros], axis=-1)
        logits = np.stack([logits, zeros], axis=-1)
    log_p, log_q = _log_softmax(reference), _log_softmax(logits)
    per_label = (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)
    return per_label if per_label.ndim == 1 else np.asarray(per_label.sum(axis=-1))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
