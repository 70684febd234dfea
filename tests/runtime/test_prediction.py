from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mixkd.runtime import Task
from mixkd.runtime.prediction import Reader, sigmoid, softmax

LOGITS = np.array([[1.0, 3.0, -2.0], [0.0, 0.0, 5.0]], np.float32)
HUGE = np.array([[1e4, -1e4, 0.0]], np.float32)


def reader(task: Task, threshold: float | None = None) -> Reader:
    labels = ("a", "b", "c") if task is not Task.REGRESSION else ("stars",)
    return Reader(task=task, labels=labels, threshold=threshold, abstain_label="none")


def test_softmax_is_that_of_float64() -> None:
    exponents = np.exp(LOGITS.astype(np.float64))
    np.testing.assert_allclose(softmax(LOGITS), exponents / exponents.sum(1, keepdims=True), rtol=1e-6)


def test_sigmoid_is_that_of_float64() -> None:
    np.testing.assert_allclose(sigmoid(LOGITS), 1 / (1 + np.exp(-LOGITS.astype(np.float64))), rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shares", [softmax, sigmoid])
def test_shares_stay_finite_and_float32_for_huge_logits(
    shares: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    found = shares(HUGE)
    assert found.dtype == np.float32
    assert found[0, 0] == 1
    assert found[0, 1] == pytest.approx(0)


def test_read_gives_the_best_label_of_each_row() -> None:
    first, second = reader(Task.SINGLE_LABEL).read(LOGITS, [False, True], top_k=0)
    assert (first.label, second.label) == ("b", "c")
    assert (first.truncated, second.truncated) == (False, True)
    assert first.top == ()
    assert second.labels == ()


def test_read_abstains_only_below_the_threshold() -> None:
    score = reader(Task.SINGLE_LABEL).read(LOGITS[:1], [False], 0)[0].score
    assert score == pytest.approx(float(softmax(LOGITS)[0, 1]))
    for top_k in (0, 2):
        assert not reader(Task.SINGLE_LABEL, score - 1e-6).read(LOGITS[:1], [False], top_k)[0].abstained
        assert reader(Task.SINGLE_LABEL, score + 1e-6).read(LOGITS[:1], [False], top_k)[0].label == "none"


def test_read_gives_all_labels_of_a_multi_label_task_best_first() -> None:
    (first,) = reader(Task.MULTI_LABEL).read(LOGITS[:1], [False], 0)
    assert (first.label, first.labels, first.abstained) == ("b", ("b", "a"), False)
    (strict,) = reader(Task.MULTI_LABEL, 0.99).read(LOGITS[:1], [False], 0)
    assert (strict.label, strict.labels, strict.abstained) == ("none", (), True)


def test_read_gives_the_value_of_a_regression() -> None:
    low, high = reader(Task.REGRESSION, 0.9).read(np.array([[-3.5], [4.25]], np.float32), [False] * 2, 1)
    assert (low.label, low.score, low.abstained) == ("stars", -3.5, False)
    assert high.top == (("stars", 4.25),)
