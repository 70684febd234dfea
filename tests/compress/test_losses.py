"""Each term of the objective against a few lines of plain numpy, and one law of each."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mixkd.compress.losses import (
    ShapeError,
    hidden_loss,
    label_loss,
    logit_distance,
    mle_loss,
    student_mixup_loss,
    weighted_sum,
)
from mixkd.compress.weights import METHODS, Distance, Method, Term, Weights
from mixkd.errors import ConfigError
from mixkd.task import Task

Array = NDArray[np.float64]
ROWS, CLASSES = 6, 4


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape) * 3


def one_hot(seed: int = 0) -> Array:
    return np.eye(CLASSES)[np.random.default_rng(seed).integers(0, CLASSES, ROWS)]


def tensor(values: Any) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def cross_entropy(targets: Array, logits: Array) -> Array:
    return np.asarray(-(targets * log_softmax(logits)).sum(axis=1))


def test_mle_equals_numpy_cross_entropy() -> None:
    logits, targets = draw(ROWS, CLASSES), one_hot()
    expected = cross_entropy(targets, logits).mean()
    assert mle_loss(tensor(logits), tensor(targets), task=Task.SINGLE_LABEL).item() == pytest.approx(expected)


def test_mle_equals_numpy_binary_cross_entropy_when_multi_label() -> None:
    logits, targets = draw(ROWS, CLASSES), (draw(ROWS, CLASSES, seed=1) > 0).astype(float)
    share = sigmoid(logits)
    expected = -(targets * np.log(share) + (1 - targets) * np.log(1 - share)).mean()
    assert mle_loss(tensor(logits), tensor(targets), task=Task.MULTI_LABEL).item() == pytest.approx(expected)


def test_mle_equals_numpy_squared_error_when_regression() -> None:
    logits, targets = draw(ROWS, 1), draw(ROWS, 1, seed=1)
    expected = ((logits - targets) ** 2).mean()
    assert mle_loss(tensor(logits), tensor(targets), task=Task.REGRESSION).item() == pytest.approx(expected)


def test_mle_is_the_mean_over_labelled_rows_when_some_have_no_label() -> None:
    logits, targets = draw(ROWS, CLASSES), one_hot()
    hidden = targets.copy()
    hidden[2:4] = np.nan
    kept = [0, 1, 4, 5]
    expected = cross_entropy(targets[kept], logits[kept]).mean()
    assert mle_loss(tensor(logits), tensor(hidden), task=Task.SINGLE_LABEL).item() == pytest.approx(expected)


def test_mle_is_zero_with_zero_gradient_when_no_row_has_a_label() -> None:
    logits = tensor(draw(ROWS, CLASSES)).requires_grad_()
    loss = mle_loss(logits, torch.full((ROWS, CLASSES), torch.nan), task=Task.SINGLE_LABEL)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert gradient.abs().max().item() == 0


@pytest.mark.parametrize("task", [Task.SINGLE_LABEL, Task.MULTI_LABEL])
def test_sm_equals_numpy_with_lambda_on_each_side(task: Task) -> None:
    logits, first, second = draw(ROWS, CLASSES), one_hot(1), one_hot(2)
    lam = np.random.default_rng(3).uniform(size=ROWS)
    if task is Task.SINGLE_LABEL:
        sides = cross_entropy(first, logits), cross_entropy(second, logits)
    else:
        share = sigmoid(logits)
        sides = tuple(
            -(y * np.log(share) + (1 - y) * np.log(1 - share)).mean(axis=1) for y in (first, second)
        )
    expected = (lam * sides[0] + (1 - lam) * sides[1]).mean()
    loss = student_mixup_loss(tensor(logits), tensor(first), tensor(second), tensor(lam), task=task)
    assert loss.item() == pytest.approx(expected)


def test_sm_is_unchanged_when_the_pair_and_its_share_are_swapped() -> None:
    logits, first, second = tensor(draw(ROWS, CLASSES)), tensor(one_hot(1)), tensor(one_hot(2))
    lam = tensor(np.random.default_rng(3).uniform(size=ROWS))
    one = student_mixup_loss(logits, first, second, lam, task=Task.SINGLE_LABEL)
    other = student_mixup_loss(logits, second, first, 1 - lam, task=Task.SINGLE_LABEL)
    assert one.item() == pytest.approx(other.item())


def test_sm_equals_the_loss_of_the_mixed_target_when_single_label() -> None:
    logits, first, second = tensor(draw(ROWS, CLASSES)), tensor(one_hot(1)), tensor(one_hot(2))
    lam = tensor(np.random.default_rng(3).uniform(size=ROWS))
    mixed = lam[:, None] * first + (1 - lam[:, None]) * second
    expected = label_loss(logits, mixed, task=Task.SINGLE_LABEL).mean()
    loss = student_mixup_loss(logits, first, second, lam, task=Task.SINGLE_LABEL)
    assert loss.item() == pytest.approx(expected.item())


def test_sm_drops_pairs_with_an_unlabelled_side() -> None:
    logits, first, second = draw(ROWS, CLASSES), one_hot(1), one_hot(2)
    lam = np.random.default_rng(3).uniform(size=ROWS)
    first_hidden, second_hidden = first.copy(), second.copy()
    first_hidden[0], second_hidden[1] = np.nan, np.nan
    kept = slice(2, None)
    sides = cross_entropy(first, logits), cross_entropy(second, logits)
    expected = (lam * sides[0] + (1 - lam) * sides[1])[kept].mean()
    loss = student_mixup_loss(
        tensor(logits), tensor(first_hidden), tensor(second_hidden), tensor(lam), task=Task.SINGLE_LABEL
    )
    assert loss.item() == pytest.approx(expected)


def test_distance_mse_equals_numpy() -> None:
    student, teacher = draw(ROWS, CLASSES), draw(ROWS, CLASSES, seed=1)
    loss = logit_distance(tensor(student), tensor(teacher), distance=Distance.MSE, task=Task.SINGLE_LABEL)
    assert loss.item() == pytest.approx(((student - teacher) ** 2).mean())


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distance_kl_equals_numpy(temperature: float) -> None:
    student, teacher = draw(ROWS, CLASSES), draw(ROWS, CLASSES, seed=1)
    log_q, log_p = log_softmax(student / temperature), log_softmax(teacher / temperature)
    expected = temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum() / ROWS
    loss = logit_distance(
        tensor(student),
        tensor(teacher),
        distance=Distance.KL,
        temperature=temperature,
        task=Task.SINGLE_LABEL,
    )
    assert loss.item() == pytest.approx(expected)


def test_distance_kl_equals_numpy_when_multi_label() -> None:
    student, teacher = draw(ROWS, CLASSES), draw(ROWS, CLASSES, seed=1)
    p, q = sigmoid(teacher / 2), sigmoid(student / 2)
    expected = 4 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum() / ROWS
    loss = logit_distance(
        tensor(student), tensor(teacher), distance=Distance.KL, temperature=2.0, task=Task.MULTI_LABEL
    )
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("task", [Task.SINGLE_LABEL, Task.MULTI_LABEL])
def test_distance_is_zero_when_equal_and_positive_otherwise(distance: Distance, task: Task) -> None:
    logits = tensor(draw(ROWS, CLASSES))
    assert logit_distance(logits, logits, distance=distance, task=task).item() == pytest.approx(0, abs=1e-12)
    assert logit_distance(logits, logits.flip(1), distance=distance, task=task).item() > 0


def test_distance_kl_ignores_a_constant_added_to_a_rows_logits() -> None:
    student, teacher = tensor(draw(ROWS, CLASSES)), tensor(draw(ROWS, CLASSES, seed=1))
    plain = logit_distance(student, teacher, distance=Distance.KL, task=Task.SINGLE_LABEL)
    moved = logit_distance(student + 5, teacher, distance=Distance.KL, task=Task.SINGLE_LABEL)
    assert plain.item() == pytest.approx(moved.item())


def test_distance_refuses_kl_for_regression() -> None:
    with pytest.raises(ConfigError, match="--distance mse"):
        logit_distance(torch.ones(2, 1), torch.ones(2, 1), distance=Distance.KL, task=Task.REGRESSION)


def test_hidden_equals_numpy_of_equation_7() -> None:
    student, teacher = draw(2, ROWS, 8), draw(2, ROWS, 8, seed=1)
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (student, teacher)]
    expected = ((unit[0] - unit[1]) ** 2).sum(axis=-1).mean()
    assert hidden_loss(tensor(student), tensor(teacher)).item() == pytest.approx(expected)


def test_hidden_ignores_the_length_of_a_state() -> None:
    student, teacher = tensor(draw(2, ROWS, 8)), tensor(draw(2, ROWS, 8, seed=1))
    assert hidden_loss(3 * student, teacher).item() == pytest.approx(hidden_loss(student, teacher).item())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_terms_are_float32_when_logits_are_half_precision(dtype: torch.dtype) -> None:
    logits, targets = torch.ones(2, 3, dtype=dtype), torch.eye(3)[:2]
    assert mle_loss(logits, targets, task=Task.SINGLE_LABEL).dtype is torch.float32
    assert logit_distance(logits, logits, distance=Distance.KL, task=Task.SINGLE_LABEL).dtype is torch.float32


def test_terms_refuse_different_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 4\)"):
        label_loss(torch.ones(2, 3), torch.ones(2, 4), task=Task.SINGLE_LABEL)
    with pytest.raises(ShapeError):
        logit_distance(torch.ones(2, 3), torch.ones(3, 3), distance=Distance.MSE, task=Task.SINGLE_LABEL)
    with pytest.raises(ShapeError):
        hidden_loss(torch.ones(1, 2, 3), torch.ones(1, 2, 4))


def test_sum_weighs_each_term_by_its_alpha() -> None:
    weights = Weights({term: i + 1.0 for i, term in enumerate(Term)})
    terms = {term: torch.tensor(10.0**i) for i, term in enumerate(Term)}
    assert weighted_sum(terms, weights).item() == 54321.0


def test_methods_differ_in_nothing_but_their_weights() -> None:
    assert METHODS.keys() == set(Method)
    assert {weights[Term.MLE] for weights in METHODS.values()} == {1.0}
    assert not METHODS[Method.FINETUNE].distilled
    assert not METHODS[Method.KD].mixed
    assert METHODS[Method.TMKD][Term.SM] == 0
    assert METHODS[Method.MIXKD][Term.SM] == METHODS[Method.MIXKD][Term.TMKD] == 1


def test_weights_refuse_negative_values() -> None:
    with pytest.raises(ConfigError, match="--alpha-sm must be at least 0"):
        Weights({Term.MLE: 1.0, Term.SM: -1.0})
    with pytest.raises(ConfigError, match="every weight of the objective is 0"):
        Weights({Term.MLE: 0.0})
