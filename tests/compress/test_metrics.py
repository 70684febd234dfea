"""The task metrics against scikit-learn's and scipy's."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from mixkd.metrics import evaluate
from mixkd.task import Task

RNG = np.random.default_rng(0)


def test_single_label_metrics_equal_scikit_learn() -> None:
    logits, classes = RNG.normal(size=(200, 5)), RNG.integers(0, 4, 200)  # class 4 is only ever answered
    found = evaluate(logits, np.eye(5)[classes], Task.SINGLE_LABEL)
    answers = logits.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(classes, answers))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(classes, answers, average="macro"))


def test_multi_label_metrics_equal_scikit_learn() -> None:
    logits, targets = RNG.normal(size=(200, 5)), RNG.integers(0, 2, (200, 5))
    found = evaluate(logits, targets, Task.MULTI_LABEL)
    assert found["micro_f1"] == pytest.approx(reference.f1_score(targets, logits > 0, average="micro"))
    assert found["exact_match"] == pytest.approx(reference.accuracy_score(targets, logits > 0))


def test_regression_metrics_equal_scipy_when_values_are_tied() -> None:
    truth = RNG.integers(0, 6, (200, 1)).astype(float)
    answers = truth + RNG.normal(size=(200, 1)).round()
    found = evaluate(answers, truth, Task.REGRESSION)
    assert found["pearson"] == pytest.approx(stats.pearsonr(answers[:, 0], truth[:, 0]).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(answers[:, 0], truth[:, 0]).statistic)
    assert found["mse"] == pytest.approx(reference.mean_squared_error(truth, answers))


def test_rows_without_a_label_do_not_count() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    targets = np.array([[1.0, 0.0], [np.nan, np.nan], [0.0, 1.0]])
    assert evaluate(logits, targets, Task.SINGLE_LABEL)["accuracy"] == 0.5
    assert evaluate(logits, np.full((3, 2), np.nan), Task.SINGLE_LABEL) == {}


def test_constant_answers_have_no_correlation() -> None:
    found = evaluate(np.ones((4, 1)), np.arange(4.0)[:, None], Task.REGRESSION)
    assert found["pearson"] == found["spearman"] == 0
