import numpy as np
import pytest

from mixkd.bench.report.intervals import Resampling, wilson
from mixkd.bench.report.quality import divergence, judge, truth
from mixkd.errors import DataError
from mixkd.task import Task

NAMES = ("yes", "no", "maybe")
DRAWS = Resampling(100, 5)


def test_truth_puts_each_label_in_its_place() -> None:
    assert truth(["no", "yes"], NAMES, Task.SINGLE_LABEL).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert truth([("no", "maybe"), ()], NAMES, Task.MULTI_LABEL).tolist() == [[0, 1, 1], [0, 0, 0]]
    assert truth(["2.5"], ("score",), Task.REGRESSION).tolist() == [[2.5]]
    soft = truth([{"yes": 0.2, "no": 0.8}, None], NAMES, Task.SINGLE_LABEL)
    assert soft[0] == pytest.approx([0.2, 0.8, 0])
    assert np.isnan(soft[1]).all()


def test_soft_labels_count_by_the_likeliest_name() -> None:
    target = truth([{"yes": 0.2, "no": 0.8}, {"yes": 1.0}], NAMES, Task.SINGLE_LABEL)
    logits = np.array([[0.0, 3, 0], [0, 3, 0]])
    quality = judge(logits, target, None, task=Task.SINGLE_LABEL, resampling=DRAWS)
    assert quality.headline == wilson(1, 2)


def test_label_that_the_bundle_lacks_is_named() -> None:
    with pytest.raises(DataError, match="'perhaps'"):
        truth(["yes", "perhaps"], NAMES, Task.SINGLE_LABEL)


def test_single_label_quality_against_counting_by_hand() -> None:
    logits = np.array([[3.0, 1, 0], [0, 2, 1], [0, 0, 4], [5, 0, 0]])
    teacher = np.array([[2.0, 1, 0], [0, 2, 1], [9, 0, 4], [5, 0, 0]])
    quality = judge(
        logits,
        truth(["yes", "no", "yes", None], NAMES, Task.SINGLE_LABEL),
        teacher,
        task=Task.SINGLE_LABEL,
        resampling=DRAWS,
    )
    assert (quality.rows, quality.labelled_rows) == (4, 3)
    assert quality.headline == wilson(2, 3)
    assert quality.agreement == wilson(3, 4)


def test_divergence_is_the_textbook_sum() -> None:
    rng = np.random.default_rng(6)
    p_logits, q_logits = rng.normal(size=(2, 5, 3))
    p = np.exp(p_logits) / np.exp(p_logits).sum(axis=1, keepdims=True)
    q = np.exp(q_logits) / np.exp(q_logits).sum(axis=1, keepdims=True)
    assert divergence(p_logits, q_logits, Task.SINGLE_LABEL) == pytest.approx((p * np.log(p / q)).sum(axis=1))
    p, q = 1 / (1 + np.exp(-p_logits)), 1 / (1 + np.exp(-q_logits))
    binary = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(axis=1)
    assert divergence(p_logits, q_logits, Task.MULTI_LABEL) == pytest.approx(binary)


def test_regression_has_a_correlation_and_no_agreement() -> None:
    values = np.linspace(0, 1, 20)[:, None]
    quality = judge(2 * values + 1, values, values, task=Task.REGRESSION, resampling=DRAWS)
    assert quality.headline is not None
    assert quality.headline.value == pytest.approx(1)
    assert quality.agreement is None


def test_unlabelled_rows_leave_agreement_alone() -> None:
    logits = np.eye(3)
    target = truth([None, None, None], NAMES, Task.SINGLE_LABEL)
    quality = judge(logits, target, logits, task=Task.SINGLE_LABEL, resampling=DRAWS)
    assert quality.headline is None
    assert quality.agreement == wilson(3, 3)


def test_agreement_counts_the_rows_that_the_reference_was_asked() -> None:
    logits = np.array([[3.0, 1, 0], [0, 2, 1], [0, 0, 4]])
    teacher = np.array([[2.0, 1, 0], [np.nan] * 3, [9.0, 0, 4]])
    target = truth(["yes", "no", "maybe"], NAMES, Task.SINGLE_LABEL)
    quality = judge(logits, target, teacher, task=Task.SINGLE_LABEL, resampling=DRAWS)
    assert quality.headline == wilson(3, 3)
    assert quality.agreement == wilson(1, 2)
    asked_nothing = judge(logits, target, teacher * np.nan, task=Task.SINGLE_LABEL, resampling=DRAWS)
    assert asked_nothing.agreement is None


def test_macro_f1_has_the_interval_of_its_bootstrap() -> None:
    rng = np.random.default_rng(9)
    truths = rng.integers(0, 3, 200)
    logits = np.eye(3)[np.where(rng.random(200) < 0.8, truths, (truths + 1) % 3)]
    target = np.eye(3)[truths]
    quality = judge(logits, target, None, task=Task.SINGLE_LABEL, resampling=Resampling(400, 5))
    assert quality.macro_f1 is not None
    assert quality.macro_f1.value == pytest.approx(quality.metrics["macro_f1"])
    assert 0.02 < quality.macro_f1.value - quality.macro_f1.low < 0.1
    assert 0.02 < quality.macro_f1.high - quality.macro_f1.value < 0.1
