"""What int8 changed, against hand-made answers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mixkd.export.judge.flips import Change, Example, compare, mcnemar
from mixkd.export.judge.judge import Examples
from mixkd.metrics import calibration_error
from mixkd.task import Task


def _logits(answers: list[int]) -> NDArray[np.float32]:
    return np.eye(3, dtype=np.float32)[answers] * 9


def test_compare_names_the_flipped_texts_and_counts_both_directions() -> None:
    target = np.eye(3)[[0, 1, 2, 2, 0]]
    target[4] = np.nan
    examples = Examples("test", ("a", "b", "c", "d", "e"), target, Task.SINGLE_LABEL, ("x", "y", "z"))
    logits = _logits([0, 1, 1, 2, 0]), _logits([0, 0, 2, 2, 1])
    found = compare(examples, *logits, publish=True)
    assert found is not None
    assert found.examples == (
        Example("b", "y", "y", "x"),
        Example("c", "z", "y", "z"),
        Example("e", None, "x", "y"),
    )
    assert found.changes == (Change("y", "y", "x", 1), Change("z", "y", "z", 1), Change(None, "x", "y", 1))
    assert (found.flipped, found.repaired, found.broken) == (3, 1, 1)
    assert found.recall == {"x": (1, 1), "y": (1, 0), "z": (0.5, 1)}


def test_compare_is_none_for_several_labels_per_text() -> None:
    examples = Examples("test", ("a",), np.ones((1, 3)), Task.MULTI_LABEL, ("x", "y", "z"))
    assert compare(examples, _logits([0]), _logits([0])) is None


@pytest.mark.parametrize(
    ("repaired", "broken", "p"), [(0, 0, 1), (5, 5, 1), (0, 5, 2 / 32), (1, 9, 2 * 11 / 1024)]
)
def test_mcnemar_is_the_exact_binomial(repaired: int, broken: int, p: float) -> None:
    assert mcnemar(repaired, broken) == pytest.approx(p)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    # Confidence 0.9 on all ten, eight of them right.
    logits = np.log(np.tile([[0.9, 0.1]], (10, 1))).astype(np.float32)
    right = np.array([True] * 8 + [False] * 2)
    assert calibration_error(logits, right) == pytest.approx(0.1, abs=1e-6)
