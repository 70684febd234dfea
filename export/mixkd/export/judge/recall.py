"""What int8 costs each label: the recall of a graph against that of the PyTorch student."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.report.quality import decide
from mixkd.errors import ConfigError
from mixkd.export.judge.judge import Examples, Judge, Logits
from mixkd.task import Task

_NAMED = 5


@dataclass(frozen=True, slots=True)
class RecallDrop:
    """The label that loses most.

    Attributes:
        label: Its name.
        points: 100 times the recall that it loses; below 0 where every label gains.
    """

    label: str
    points: float


class RecallBudget:
    """The points of recall that no label may lose.

    A label is judged where one text is no more than those points: with fewer texts a single changed answer
    would break the budget.

    Args:
        judge: The texts.
        points: The limit.

    Raises:
        ConfigError: If the task is regression, or no label has enough texts.
    """

    def __init__(self, judge: Judge, points: float) -> None:
        self._examples = examples = judge.examples
        if examples.task is Task.REGRESSION:
            raise ConfigError("--max-recall-drop needs classes, and the task is regression")
        self._texts = _true_labels(examples).sum(axis=0)
        self._judged = (self._texts > 0) & (self._texts * points >= 100 if points else True)
        if not self._judged.any():
            raise ConfigError(
                f"--max-recall-drop {points:g} needs a label with {math.ceil(100 / points)} texts or more: "
                f"no label has so many on {examples.split}"
            )
        self._reference = recalls(judge.reference, examples)

    def worst(self, logits: Logits) -> RecallDrop:
        """Return which of the judged labels loses most, by a graph's logits, (N, C)."""
        drops = np.where(self._judged, 100 * (self._reference - recalls(logits, self._examples)), -np.inf)
        worst = int(drops.argmax())
        return RecallDrop(self._examples.labels[worst], float(drops[worst]))

    def note(self) -> str | None:
        """Return a line that names the labels that aren't judged; None where there are none."""
        few = [
            f"{name} ({texts})"
            for name, texts, judged in zip(self._examples.labels, self._texts, self._judged, strict=True)
            if not judged
        ]
        if not few:
            return None
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        return (
            f"too few texts on {self._examples.split} to judge the recall of {', '.join(few[:_NAMED])}{more}"
        )


def recalls(logits: Logits, examples: Examples) -> NDArray[np.float64]:
    """Return each label's recall, (C,), by logits, (N, C); NaN for a label without texts."""
    true = _true_labels(examples)
    answered = decide(np.asarray(logits, np.float64), examples.task) > 0
    with np.errstate(invalid="ignore"):
        return np.asarray((answered & true).sum(axis=0) / true.sum(axis=0))


def _true_labels(examples: Examples) -> NDArray[np.bool_]:
    """Return which labels each text has, (N, C): of a soft label the likeliest, none where unlabelled."""
    if examples.task is Task.MULTI_LABEL:
        return np.asarray(np.nan_to_num(examples.target) >= 0.5)
    labelled = ~np.isnan(examples.target).any(axis=1, keepdims=True)
    return np.asarray((decide(np.nan_to_num(examples.target), examples.task) > 0) & labelled)
