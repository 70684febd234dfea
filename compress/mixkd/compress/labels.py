"""The label space: names in order, and how a label becomes a number in a file and a target row in a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from mixkd.errors import ConfigError, DataError, ModelError
from mixkd.runtime.bundle import Task
from mixkd.texts import Corpus, Label

PROBLEM_TYPES = {
    Task.SINGLE_LABEL: "single_label_classification",
    Task.MULTI_LABEL: "multi_label_classification",
    Task.REGRESSION: "regression",
}
"""The names transformers gives the tasks in a model's config."""

_UNLABELLED = -1


@dataclass(frozen=True, slots=True)
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

    def target(self, stored: Any) -> Tensor:
        """Return the (C,) float target row for what `encode` stored; NaN where there is no label."""
        if isinstance(stored, int):
            row = torch.zeros(len(self.names))
            row[stored if stored >= 0 else slice(None)] = 1.0 if stored >= 0 else float("nan")
            return row
        return torch.as_tensor(stored, dtype=torch.float32).reshape(-1)

    def configure(self, config: PretrainedConfig) -> None:
        """Write the names and the task into a model's config, which sizes its head."""
        config.num_labels = len(self.names)
        config.id2label = dict(enumerate(self.names))
        config.label2id = {name: i for i, name in enumerate(self.names)}
        config.problem_type = PROBLEM_TYPES[self.task]

    def _encode_number(self, label: Label, where: str) -> float:
        try:
            return float("nan") if label is None else float(label)  # type: ignore[arg-type]  # refused below
        except (TypeError, ValueError):
            raise DataError(f"{where}: the label {label!r} is not a number, as regression needs") from None

    def _index(self, name: Any, where: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
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


def label_space_of(config: PretrainedConfig, *, model: str) -> LabelSpace:
    """Return the label space of a fine-tuned classifier.

    Raises:
        ModelError: If its config names no labels.
    """
    by_number = config.id2label or {}
    names = tuple(str(by_number[i]) for i in range(config.num_labels))
    kinds = {name: task for task, name in PROBLEM_TYPES.items()}
    if config.problem_type is None:
        return LabelSpace(Task.REGRESSION if len(names) == 1 else Task.SINGLE_LABEL, names)
    if config.problem_type not in kinds:
        raise ModelError(f"{model} has the problem type {config.problem_type!r}, none of {', '.join(kinds)}")
    return LabelSpace(kinds[config.problem_type], names)


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
