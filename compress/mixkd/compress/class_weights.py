"""How much each class counts in the losses against the labels: `--class-weights`."""

import json

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixkd.compress.class_weight_choice import BALANCED
from mixkd.errors import ConfigError, DataError
from mixkd.labels import UNLABELLED, LabelSpace
from mixkd.task import Task


def class_weights(choice: str, labels: LabelSpace, rows: datasets.Dataset) -> Tensor:
    """Return the weight of each class, (C,) float32.

    Of a single-label task the weights are scaled so that a labelled training text has a weight of 1 on
    average: the other terms of the objective keep their share. Of a multi-label task they are the weights of
    the labels that a text has, against 1 for those that it hasn't.

    Args:
        choice: `balanced`, or a JSON object with a weight for some of the labels; the others have 1. Balanced
            is N / (C n_c) for single-label, as in scikit-learn, and (N - n_c) / n_c for multi-label, where
            n_c of the N labelled texts have the label.
        labels: Task and classes.
        rows: The training rows.

    Raises:
        ConfigError: If the task is regression, or a label is none of the model's.
        DataError: If `balanced` is asked where no text has a label.
    """
    if labels.task is Task.REGRESSION:
        raise ConfigError("--class-weights needs classes, and the task is regression")
    texts, having = _counts(rows, len(labels.names))
    if texts == 0:
        raise DataError("--class-weights needs labels, and no training text has one")
    if choice == BALANCED:
        seen = np.maximum(having, 1e-9)
        ratio = texts / (len(having) * seen) if labels.task is Task.SINGLE_LABEL else (texts - having) / seen
        weights = np.where(having > 0, ratio, 1.0)
    else:
        given = json.loads(choice)
        if unknown := sorted(given.keys() - set(labels.names)):
            raise ConfigError(f"--class-weights names {unknown[0]!r}, which is not one of the model's labels")
        weights = np.array([given.get(name, 1.0) for name in labels.names])
    if labels.task is Task.SINGLE_LABEL:
        weights = weights * texts / (weights * having).sum()
    return torch.from_numpy(weights.astype(np.float32))


def _counts(rows: datasets.Dataset, classes: int) -> tuple[int, NDArray[np.float64]]:
    """Return the number of labelled texts, and the texts that each class has, (C,); soft labels by share."""
    texts, having = 0, np.zeros(classes)
    for batch in rows.with_format("arrow").iter(100_000):
        outputs, values = batch["labels"], batch["label_values"]
        unlabelled = pc.sum(pc.equal(pc.list_flatten(outputs), UNLABELLED)).as_py() or 0
        texts += len(outputs) - unlabelled
        soft = pc.greater(pc.list_value_length(values), 0)
        for chosen, shares in ((pc.invert(soft), None), (soft, values)):
            numbers = pc.list_flatten(outputs.filter(chosen)).to_numpy()
            given = None if shares is None else pc.list_flatten(shares.filter(chosen)).to_numpy()
            counted = np.ones(len(numbers)) if given is None else given
            known = numbers != UNLABELLED
            np.add.at(having, numbers[known], counted[known])
    return texts, having
