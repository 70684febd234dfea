"""The label space: names in order, and how a label becomes a number in a file and a target row in a batch."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixkd.corpus.corpus import Corpus, Label
from mixkd.errors import DataError, ModelError
from mixkd.task import PROBLEM_TYPES, Task

UNLABELLED = -1
"""Stands in the stored labels for a text without one."""

_SUM_TOLERANCE = 0.01


class EncodedLabel(NamedTuple):
    """A label as data files on disk hold it: short whatever the number of classes, one type for every task.

    Attributes:
        outputs: The numbers of the outputs it is about; [-1] where there is no label.
        values: What each of them should be, such as the probabilities of a soft label; empty where all are 1.
    """

    outputs: list[int]
    values: list[float]


@dataclass(frozen=True)
class LabelSpace:
    """A task and its label names, one per output.

    Attributes:
        task: What the outputs mean.
        names: (C,) in the order of the outputs; one name for regression.
    """

    task: Task
    names: tuple[str, ...]

    @property
    def categorical(self) -> bool:
        """Whether the outputs stand for classes."""
        return self.task is not Task.REGRESSION

    def encode(self, label: Label, *, where: str) -> EncodedLabel:
        """Return a label as it is stored.

        Args:
            label: A name, several names for multi-label, probabilities (of a single-label task they add up to
                one), a number for regression, or None.
            where: The file and row, for errors.

        Raises:
            DataError: If the label isn't one of this space.
        """
        if label is None:
            return EncodedLabel([UNLABELLED], [])
        if self.task is Task.REGRESSION:
            return EncodedLabel([0], [_finite_number(label, where)])
        if isinstance(label, Mapping):
            self._check_sum(label, where)
            return EncodedLabel([self._output(name, where) for name in label], list(label.values()))
        names = (label,) if isinstance(label, str) else label
        if self.task is Task.SINGLE_LABEL and len(names) != 1:
            raise DataError(f"{where}: {len(names)} labels for one text, but the task is single-label")
        return EncodedLabel([self._output(name, where) for name in names], [])

    def target(self, outputs: Sequence[int], values: Sequence[float]) -> NDArray[np.float32]:
        """Return the target row, (C,), of an encoded label; NaN where there is no label."""
        if list(outputs) == [UNLABELLED]:
            return np.full(len(self.names), np.nan, np.float32)
        row = np.zeros(len(self.names), np.float32)
        row[np.asarray(outputs, np.intp)] = values if len(values) else 1.0
        return row

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def _output(self, name: str, where: str) -> int:
        try:
            return self._numbers[name]
        except KeyError:
            known = ", ".join(self.names[:5]) + (", ..." if len(self.names) > 5 else "")
            raise DataError(f"{where}: the label {name!r} is not one of the model's ({known})") from None

    def _check_sum(self, label: Mapping[str, float], where: str) -> None:
        total = sum(label.values())
        if self.task is Task.SINGLE_LABEL and abs(total - 1) > _SUM_TOLERANCE:
            raise DataError(f"{where}: the probabilities of a label must add up to 1, not {total:.4g}")


def _finite_number(label: Label, where: str) -> float:
    try:
        number = float(label)  # type: ignore[arg-type]  # refused below
    except (TypeError, ValueError):
        raise DataError(f"{where}: the label {label!r} is not a number, as regression needs") from None
    if not math.isfinite(number):
        raise DataError(f"{where}: the label {label} is not a finite number")
    return number


def read_label_space(corpus: Corpus, *, task: Task | None) -> LabelSpace:
    """Collect the label names of the training split; numbers are sorted as numbers, names as names.

    Args:
        corpus: The data.
        task: The task; None takes multi-label where a label is a list, regression where labels are numbers
            that aren't all whole, and single-label elsewhere.

    Raises:
        DataError: If there are no labels, only one class, or numbers of which one isn't finite.
    """
    names = LabelNames()
    for row, example in enumerate(corpus.read("train"), start=1):
        names.add(example.label, row=row)
    if not names.found:
        raise DataError(f"{corpus.split('train')} has no labels: name the column with --label-column")
    names.check_finite(corpus, "train")
    if task is None and names.kinds == {str} and are_scores(names.found):
        task = Task.REGRESSION
    if task is Task.REGRESSION:
        return LabelSpace(task, ("score",))
    if task is None:
        task = Task.MULTI_LABEL if tuple in names.kinds else Task.SINGLE_LABEL
    if len(names.found) == 1 and task is Task.SINGLE_LABEL:
        split, only = corpus.split("train"), min(names.found)
        raise DataError(f"{split} has only the label {only!r}: a classifier needs two or more")
    return LabelSpace(task, tuple(_in_order(names.found)))


class LabelNames:
    """The names, or numbers as strings, that the labels of a split hold.

    Attributes:
        found: Every name.
        kinds: The types of the labels: str, tuple, dict.
    """

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.kinds: set[type] = set()
        self._not_finite: tuple[str, int] | None = None

    def add(self, label: Label, *, row: int) -> None:
        """Take note of a label; rows are counted from 1."""
        if label is None:
            return
        self.kinds.add(type(label))
        for name in names_of(label):
            if name not in self.found:
                self.found.add(name)
                if self._not_finite is None and _is_number(name) and not math.isfinite(float(name)):
                    self._not_finite = name, row

    def check_finite(self, corpus: Corpus, split: str) -> None:
        """Refuse NaN and infinity among numbers; among names, ``nan`` and ``inf`` are names.

        Raises:
            DataError: With the file and row of the first one.
        """
        if self._not_finite is not None and all(map(_is_number, self.found)):
            name, row = self._not_finite
            raise DataError(f"{corpus.where(split, row)}: the label {name} is not a finite number")


def label_space_of(config: Mapping[str, Any], *, model: str) -> LabelSpace:
    """Return the label space that a classifier's config.json describes.

    transformers leaves `id2label` out where it is the default: then the names are LABEL_0, LABEL_1 and so on,
    two of them unless `num_labels` says otherwise. Without a `problem_type`, one output is a regression and
    several are single-label.

    Args:
        config: The content of config.json, or a config object's `to_dict()`.
        model: The model's name, for errors.

    Raises:
        ModelError: If the labels or the problem type can't be read.
    """
    try:
        by_number = {int(number): str(name) for number, name in (config.get("id2label") or {}).items()}
        count = len(by_number) or int(config.get("num_labels") or 2)
        names = tuple(by_number[i] if by_number else f"LABEL_{i}" for i in range(count))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{model} has an id2label in config.json that can't be read: {error!r}") from error
    kinds = {name: task for task, name in PROBLEM_TYPES.items()}
    problem_type = config.get("problem_type")
    if problem_type is None:
        return LabelSpace(Task.REGRESSION if len(names) == 1 else Task.SINGLE_LABEL, names)
    if problem_type not in kinds:
        raise ModelError(f"{model} has the problem type {problem_type!r}, none of {', '.join(kinds)}")
    return LabelSpace(kinds[problem_type], names)


def names_of(label: Label) -> Iterable[str]:
    """Return the names a label holds: one, several, or none."""
    return (label,) if isinstance(label, str) else label or ()


def stratum_of(label: Label) -> str:
    """Return a string that is equal for texts of one class: the likeliest one of a soft label.

    Several labels are one class for each set of names, and texts without a label are one too.
    """
    if isinstance(label, Mapping):
        return json.dumps(max(label, key=lambda name: (label[name], name)))
    return json.dumps(sorted(label) if isinstance(label, tuple) else label)


def are_scores(names: Collection[str]) -> bool:
    """Return whether the labels are numbers of which some aren't whole: scores, not classes."""
    return all(map(_is_number, names)) and not all(float(name).is_integer() for name in names)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _in_order(names: set[str]) -> list[str]:
    if all(map(_is_number, names)):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)
