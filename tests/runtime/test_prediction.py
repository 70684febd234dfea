import numpy as np
import pytest

from mixkd.errors import BundleError
from mixkd.runtime.prediction import Reader
from mixkd.task import Task

SHARES = np.array([[0.25, 0.7, 0.05], [0.0, 0.125, 0.875]], np.float32)
APART = np.array([[0.75, 0.9, 0.25]], np.float32)


def reader(task: Task, threshold: float | None = None) -> Reader:
    labels = ("a", "b", "c") if task is not Task.REGRESSION else ("stars",)
    return Reader(task=task, labels=labels, threshold=threshold, abstain_label="none")


def test_read_gives_the_best_label_of_each_row() -> None:
    first, second = reader(Task.SINGLE_LABEL).read(SHARES, [False, True], top_k=0)
    assert (first.label, second.label) == ("b", "c")
    assert (first.truncated, second.truncated) == (False, True)
    assert first.top == ()
    assert second.labels == ()


def test_read_abstains_only_below_the_threshold() -> None:
    score = reader(Task.SINGLE_LABEL).read(SHARES[:1], [False], 0)[0].score
    assert score == pytest.approx(0.7)
    for top_k in (0, 2):
        assert not reader(Task.SINGLE_LABEL, score - 1e-6).read(SHARES[:1], [False], top_k)[0].abstained
        assert reader(Task.SINGLE_LABEL, score + 1e-6).read(SHARES[:1], [False], top_k)[0].label == "none"


def test_read_gives_all_labels_of_a_multi_label_task_best_first() -> None:
    (first,) = reader(Task.MULTI_LABEL).read(APART, [False], 0)
    assert (first.label, first.labels, first.abstained) == ("b", ("b", "a"), False)
    (strict,) = reader(Task.MULTI_LABEL, 0.99).read(APART, [False], 0)
    assert (strict.label, strict.labels, strict.abstained) == ("none", (), True)


def test_read_gives_the_value_of_a_regression() -> None:
    low, high = reader(Task.REGRESSION, 0.9).read(np.array([[-3.5], [4.25]], np.float32), [False] * 2, 1)
    assert (low.label, low.score, low.abstained) == ("stars", -3.5, False)
    assert high.top == (("stars", 4.25),)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("top_k", [0, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_read_refuses_what_is_not_finite(task: Task, top_k: int, value: float) -> None:
    width = 1 if task is Task.REGRESSION else 3
    for place in range(width):
        scores = SHARES[:1, :width].copy()
        scores[0, place] = value
        with pytest.raises(BundleError, match="NaN or infinity"):
            reader(task).read(scores, [False], top_k)
