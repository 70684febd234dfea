"""The label space: names in order, and how a label becomes a number in a file and a target row in a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixkd.corpus.corpus import Corpus, Label
from mixkd.errors import ConfigError, DataError, ModelError
from mixkd.task import PROBLEM_TYPES, Task

_UNLABELLED = -1


@dataclass(frozen=True)
class LabelSpace:
    """A task and its label names, one per output.

    Attributes:
        task: What the outputs mean.
        names: (C,) in the order of the outputs; one name for regression.
        soft: Whether labels are probabilities per name.
    """

    task: Task
    names: tuple[str, ...]
    soft: bool = False

    @property
    def categorical(self) -> bool:
        """Whether the outputs stand for classes."""
        return self.task is not Task.REGRESSION

    def encode(self, label: Label, *, where: str) -> int | float | list[float]:
        """Return what is stored for a label: a class number, a number, or a row of C numbers.

        Raises:
            DataError: If the label isn't one of this space.
        """
        if self.task is Task.REGRESSION:
            return self._encode_number(label, where)
        if self.task is Task.SINGLE_LABEL and not self.soft:
            return _UNLABELLED if label is None else self._index(label, where)
        if label is None:
            return [float("nan")] * len(self.names)
        row = [0.0] * len(self.names)
        if isinstance(label, Mapping):
            for name, share in label.items():
                row[self._index(name, where)] = share
        else:
            for name in (label,) if isinstance(label, str) else label:
                row[self._index(name, where)] = 1.0
        return row

    def target(self, stored: Any) -> NDArray[np.float32]:
        """Return the target row, (C,), for what `encode` stored; NaN where there is no label."""
        if isinstance(stored, int):
            row = np.full(len(self.names), 0.0 if stored >= 0 else np.nan, np.float32)
            if stored >= 0:
                row[stored] = 1.0
            return row
        return np.asarray(stored, np.float32).reshape(-1)

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def _encode_number(self, label: Label, where: str) -> float:
        try:
            return float("nan") if label is None else float(label)  # type: ignore[arg-type]  # refused below
        except (TypeError, ValueError):
            raise DataError(f"{where}: the label {label!r} is not a number, as regression needs") from None

    def _index(self, name: Any, where: str) -> int:
        try:
            return self._numbers[name]
        except (KeyError, TypeError):
            known = ", ".join(self.names[:5]) + (", ..." if len(self.names) > 5 else "")
            raise DataError(f"{where}: the label {name!r} is not one of the model's ({known})") from None


def read_label_space(corpus: Corpus, *, task: Task | None) -> LabelSpace:
    """Collect the label names of the training split; numbers are sorted as numbers, names as names.

    Args:
        corpus: The data.
        task: The task; None takes multi-label where a label is a list, regression where labels are numbers
            that aren't all whole, and single-label elsewhere.

    Raises:
        DataError: If there are no labels, or only one class.
    """
    names: set[str] = set()
    kinds: set[type] = set()
    for example in corpus.read("train"):
        if example.label is not None:
            kinds.add(type(example.label))
            names.update(names_of(example.label))
    if not names:
        raise DataError(f"{corpus.split('train')} has no labels: name the column with --label-column")
    if task is None and kinds == {str} and are_scores(names):
        task = Task.REGRESSION
    if task is Task.REGRESSION:
        return LabelSpace(task, ("score",))
    if len(names) == 1:
        raise DataError(f"{corpus.split('train')} has the one label {min(names)!r}: a classifier needs two")
    if task is None:
        task = Task.MULTI_LABEL if tuple in kinds else Task.SINGLE_LABEL
    return LabelSpace(task, tuple(_in_order(names)), soft=dict in kinds)


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


def parse_task(name: str | None) -> Task | None:
    """Return the task an option names, None for `auto`.

    Raises:
        ConfigError: If there is no such task.
    """
    if name in {None, "auto"}:
        return None
    try:
        return Task(str(name).replace("-", "_"))
    except ValueError:
        kinds = ", ".join(task.value.replace("_", "-") for task in Task)
        raise ConfigError(f"--task is auto, {kinds}, not {name}") from None


def names_of(label: Label) -> Iterable[str]:
    """Return the names a label holds: one, several, or none."""
    return (label,) if isinstance(label, str) else label or ()


def are_scores(names: Iterable[str]) -> bool:
    """Return whether the labels are numbers of which some aren't whole, so that they can't name classes."""
    try:
        return not all(float(name).is_integer() for name in names)
    except ValueError:
        return False


def _in_order(names: set[str]) -> list[str]:
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)
