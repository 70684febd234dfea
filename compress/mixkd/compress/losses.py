"""The MixKD objective: every term a function beside its equation, and their weighted sum.

Liang et al., "MixKD: Towards Efficient Distillation of Large-scale Language Models", ICLR 2021
(arXiv 2011.00593). S is the student, T the teacher, (x_i, y_i) an example, x'_i a mixed one::

    L = L_MLE + α_SM L_SM + α_TMKD L_TMKD + α_KD L_KD + α_hidden L_hidden

Labels are target rows, so that hard, soft, multi-label and regression targets are one case: one-hot,
probabilities, multi-hot, or a single number. A row of NaN has no label. Every term is computed in float32 or
wider, whatever precision the models run in, and is a mean over the rows that it is defined on.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from mixkd.compress.weights import Distance, Term, Weights
from mixkd.errors import ConfigError, MkdError
from mixkd.task import Task


class ShapeError(MkdError):
    """Two tensors that must have the same shape don't."""


def label_loss(logits: Tensor, targets: Tensor, *, task: Task, class_weights: Tensor | None = None) -> Tensor:
    """Loss of each row against its target: cross-entropy, binary cross-entropy or squared error by task.

    Args:
        logits: (B, C), before softmax or sigmoid; (B, 1) for regression.
        targets: (B, C), see the module's docstring; no NaN.
        task: What the outputs mean.
        class_weights: (C,), the weight of each class; of multi-label, of the labels that a text has. None
            weighs all alike.

    Returns:
        (B,), float32 or wider; in nats for the two cross-entropies (the binary one a mean over the C labels).

    Raises:
        ShapeError: If the shapes differ.
    """
    _check_same_shape(logits, targets)
    logits = _wide(logits)
    targets = targets.to(logits.dtype)
    match task:
        case Task.SINGLE_LABEL:
            weighted = targets if class_weights is None else targets * class_weights
            return -(weighted * F.log_softmax(logits, dim=-1)).sum(dim=-1)
        case Task.MULTI_LABEL:
            return F.binary_cross_entropy_with_logits(
                logits, targets, reduction="none", pos_weight=class_weights
            ).mean(dim=-1)
        case Task.REGRESSION:
            return (logits - targets).square().mean(dim=-1)


def mle_loss(logits: Tensor, targets: Tensor, *, task: Task, class_weights: Tensor | None = None) -> Tensor:
    """L_MLE = CE(y_i, S(x_i)), the mean over the labelled rows; 0 where there are none.

    Args:
        logits: (B, C), the student on original examples.
        targets: (B, C), NaN rows unlabelled.
        task: What the outputs mean.
        class_weights: (C,), as in `label_loss`.
    """
    losses = label_loss(logits, targets.nan_to_num(), task=task, class_weights=class_weights)
    return _mean_over(~targets.isnan().any(dim=-1), losses)


def student_mixup_loss(
    logits: Tensor,
    targets: Tensor,
    partner_targets: Tensor,
    lam: Tensor,
    *,
    task: Task,
    class_weights: Tensor | None = None,
) -> Tensor:
    """L_SM = λ_i CE(y_i, S(x'_i)) + (1-λ_i) CE(y_p(i), S(x'_i)), the mean over rows labelled on both sides.

    Args:
        logits: (M, C), the student on mixed examples.
        targets: (M, C), labels of the first of each pair.
        partner_targets: (M, C), labels of the second.
        lam: (M,), λ, the weight of the first, in [0, 1].
        task: What the outputs mean.
        class_weights: (C,), as in `label_loss`.
    """
    labelled = ~(targets.isnan() | partner_targets.isnan()).any(dim=-1)
    first, second = (
        label_loss(logits, side.nan_to_num(), task=task, class_weights=class_weights)
        for side in (targets, partner_targets)
    )
    return _mean_over(labelled, lam * first + (1 - lam) * second)


def logit_distance(
    student: Tensor, teacher: Tensor, *, distance: Distance, temperature: float = 1.0, task: Task
) -> Tensor:
    """d(S(x), T(x)): L_TMKD on mixed examples, L_KD on original ones.

    `mse`: mean over rows and outputs of (S - T)². `kl`: τ² KL(T/τ || S/τ), the mean over rows; for
    multi-label the sum of the C Bernoulli divergences. Regression has no softmax, so it takes `mse`.

    Args:
        student: (N, C), before softmax.
        teacher: (N, C), before softmax, without gradient.
        distance: The d.
        temperature: τ of `kl`, above 0; τ² keeps the size of the gradients (Hinton et al. 2015, section 2).
        task: What the outputs mean.

    Raises:
        ShapeError: If the shapes differ.
        ConfigError: If the distance is `kl` and the task regression.
    """
    _check_same_shape(student, teacher)
    student, teacher = _wide(student), _wide(teacher)
    if distance is Distance.MSE:
        return F.mse_loss(student, teacher)
    if task is Task.REGRESSION:
        raise ConfigError("regression outputs are no distribution: use --distance mse")
    student, teacher = student / temperature, teacher / temperature
    if task is Task.SINGLE_LABEL:
        log_p, log_q = F.log_softmax(teacher, dim=-1), F.log_softmax(student, dim=-1)
        return temperature**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    # KL = cross-entropy - entropy, each a sum over the labels' Bernoulli variables
    share = teacher.sigmoid()
    cross = F.binary_cross_entropy_with_logits(student, share, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(teacher, share, reduction="none")
    return temperature**2 * (cross - entropy).sum(dim=-1).mean()


def hidden_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_hidden = mean over rows and layers of || s/||s|| - t/||t|| ||², as in PKD.

    Sun et al., "Patient Knowledge Distillation for BERT Model Compression", EMNLP 2019, equation 7: the first
    token's states in the student's layers but the last, against those in the teacher layers that they follow.

    Args:
        student: (L, N, H), states of L student layers.
        teacher: (L, N, H), states of the L teacher layers they follow, without gradient.

    Raises:
        ShapeError: If the shapes differ, as those of models with different widths do.
    """
    _check_same_shape(student, teacher)
    gap = F.normalize(_wide(student), dim=-1) - F.normalize(_wide(teacher), dim=-1)
    return gap.square().sum(dim=-1).mean()


def _wide(values: Tensor) -> Tensor:
    """Return half-precision values as float32, for sums of many small terms."""
    return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values


def _mean_over(rows: Tensor, values: Tensor) -> Tensor:
    return (values * rows).sum() / rows.sum().clamp(min=1)


def _check_same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ShapeError(f"shapes {tuple(first.shape)} and {tuple(second.shape)} differ")


def weighted_sum(terms: Mapping[Term, Tensor], weights: Weights) -> Tensor:
    """L = Σ α_k L_k over the terms that were computed."""
    return torch.stack([weights[term] * value for term, value in terms.items()]).sum()
