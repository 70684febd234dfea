"""The MixKD objective of one batch: student and teacher are asked, the terms computed and summed.

It needs no trainer::

    objective = Objective(student, teacher, task=Task.SINGLE_LABEL, weights=METHODS[Method.MIXKD])
    for batch in loader:
        objective(batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mixkd.compress.checkpoints import model_inputs
from mixkd.compress.losses import hidden_loss, logit_distance, mle_loss, student_mixup_loss, weighted_sum
from mixkd.compress.mixup import Batch, Mix, draw_mix, mixed_inputs
from mixkd.compress.weights import Distance, Mixing, Term, Weights
from mixkd.errors import ConfigError
from mixkd.task import Task

TARGETS = "labels"
"""The target rows of a batch, (B, C), as `losses` describes them."""

TEACHER_LOGITS = "teacher_logits"
"""The teacher's logits on the original examples of a batch, (B, C), where they were computed beforehand."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The objective of one batch.

    Attributes:
        values: The terms that were computed, scalars before their weights.
        loss: L, their weighted sum.
    """

    values: Mapping[Term, Tensor]
    loss: Tensor


class Objective:
    """Computes L of a batch: L_MLE, L_SM, L_TMKD, L_KD and L_hidden, as far as they have weights.

    Args:
        student: What is trained, or fine-tuned.
        teacher: Asked without gradient, in evaluation mode; may be None where no term needs it. It has the
            student's tokenizer, unless all it contributes are `TEACHER_LOGITS` in the batches.
        task: What the outputs of both mean.
        weights: The α of every term.
        mixing: How pairs are drawn.
        distance: d of L_TMKD and L_KD.
        temperature: τ of the distance `kl`.
        class_weights: (C,), the weight of each class in L_MLE and L_SM; None weighs all alike.

    Raises:
        ConfigError: If a term needs the teacher and there is none, or `kl` is asked for regression.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        teacher: PreTrainedModel | None = None,
        *,
        task: Task,
        weights: Weights,
        mixing: Mixing | None = None,
        distance: Distance = Distance.MSE,
        temperature: float = 1.0,
        class_weights: Tensor | None = None,
    ) -> None:
        if weights.distilled and teacher is None:
            raise ConfigError("the weights ask for a teacher, and there is none")
        if weights.distilled and distance is Distance.KL and task is Task.REGRESSION:
            raise ConfigError("regression outputs are no distribution: use --distance mse")
        self.student = student
        self.teacher = teacher
        self.task = task
        self.weights = weights
        self._mixing = mixing or Mixing()
        self._distance = distance
        self._temperature = temperature
        self._class_weights = class_weights
        if teacher is not None:
            teacher.eval().requires_grad_(False)

    def to(self, device: torch.device) -> "Objective":
        """Move student and teacher to a device."""
        for model in (self.student, self.teacher):
            if model is not None:
                nn.Module.to(model, device)
        if self._class_weights is not None:
            self._class_weights = self._class_weights.to(device)
        return self

    def __call__(
        self,
        batch: Batch,
        *,
        generator: torch.Generator | None = None,
        forward: Callable[..., Any] | None = None,
    ) -> Terms:
        """Return the terms and L of one batch of original examples.

        Args:
            batch: `input_ids`, `attention_mask` and `TARGETS`, as `mixkd.compress.data.Collator` makes them;
                `token_type_ids` and `TEACHER_LOGITS` where there are.
            generator: The source of the pairs, on the CPU; None takes torch's global one.
            forward: The student as a distributed run wraps it; None calls it directly.
        """
        inputs = {name: tensor for name, tensor in batch.items() if name not in {TARGETS, TEACHER_LOGITS}}
        targets, known = batch[TARGETS], batch.get(TEACHER_LOGITS)
        forward = forward or self.student
        if self.weights.mixed:
            mix = draw_mix(len(targets), self._mixing, generator=generator).to(targets.device)
            values = self._mixed(forward, inputs, targets, known, mix)
        else:
            values = self._unmixed(forward, inputs, targets, known)
        return Terms(values, weighted_sum(values, self.weights))

    def evaluate(self, batch: Batch, *, forward: Callable[..., Any] | None = None) -> tuple[Tensor, Tensor]:
        """Return L_MLE and the student's logits, (B, C) float32, of one batch without mixing."""
        logits = (forward or self.student)(**model_inputs(self.student, batch)).logits.float()
        return mle_loss(logits, batch[TARGETS], task=self.task), logits

    def _unmixed(
        self, forward: Callable[..., Any], inputs: Batch, targets: Tensor, known: Tensor | None
    ) -> dict[Term, Tensor]:
        hidden = self.weights[Term.HIDDEN] > 0
        student = forward(**model_inputs(self.student, inputs), output_hidden_states=hidden)
        terms = {Term.MLE: self._against_labels(student.logits, targets)}
        if known is not None:
            terms[Term.KD] = self._between(student.logits, known)
        elif self.weights.distilled:
            terms |= self._teacher_terms(student, self._ask_teacher(inputs, hidden=hidden), rows=len(targets))
        return terms

    def _mixed(
        self, forward: Callable[..., Any], inputs: Batch, targets: Tensor, known: Tensor | None, mix: Mix
    ) -> dict[Term, Tensor]:
        """All terms; original and mixed examples go through each model in one forward."""
        rows, hidden = len(targets), self.weights[Term.HIDDEN] > 0
        seen = mixed_inputs(self.student, inputs, mix, originals=True)  # B + M rows
        student = forward(**model_inputs(self.student, seen), output_hidden_states=hidden)
        mixed_logits = student.logits[rows:]  # (M, C)
        terms = {Term.MLE: self._against_labels(student.logits[:rows], targets)}
        if self.weights[Term.SM] > 0:
            pair = targets[mix.first], targets[mix.second]
            terms[Term.SM] = student_mixup_loss(
                mixed_logits, *pair, mix.lam, task=self.task, class_weights=self._class_weights
            )
        if known is not None:
            terms[Term.KD] = self._between(student.logits[:rows], known)
        originals = hidden or (self.weights[Term.KD] > 0 and known is None)
        if not originals and self.weights[Term.TMKD] == 0:
            return terms
        assert self.teacher is not None
        asked = mixed_inputs(self.teacher, inputs, mix, originals=originals)
        teacher = self._ask_teacher(asked, hidden=hidden)
        if originals:
            terms |= self._teacher_terms(student, teacher, rows=rows)
        if self.weights[Term.TMKD] > 0:
            terms[Term.TMKD] = self._between(mixed_logits, teacher.logits[-len(mix.lam) :])
        return terms

    def _against_labels(self, logits: Tensor, targets: Tensor) -> Tensor:
        return mle_loss(logits, targets, task=self.task, class_weights=self._class_weights)

    def _teacher_terms(self, student: Any, teacher: Any, *, rows: int) -> dict[Term, Tensor]:
        """L_KD and L_hidden, on the first `rows` rows: the original examples."""
        terms = {Term.KD: self._between(student.logits[:rows], teacher.logits[:rows])}
        if self.weights[Term.HIDDEN] > 0:
            terms[Term.HIDDEN] = hidden_loss(*_first_token_states(student, teacher, rows))
        return terms

    def _between(self, student: Tensor, teacher: Tensor) -> Tensor:
        return logit_distance(
            student, teacher, distance=self._distance, temperature=self._temperature, task=self.task
        )

    def _ask_teacher(self, inputs: Batch, *, hidden: bool) -> Any:
        assert self.teacher is not None
        with torch.no_grad():
            return self.teacher(**model_inputs(self.teacher, inputs), output_hidden_states=hidden)


def step_generator(seed: int, *, step: int, batch: int = 0, process: int = 0) -> torch.Generator:
    """Return the source of the pairs of one batch, a function of these numbers alone.

    Args:
        seed: The training's.
        step: Optimiser steps that were taken before.
        batch: The batch within the step, where gradients are accumulated.
        process: The rank, in a distributed training.
    """
    stream = np.random.SeedSequence([seed, step, batch, process])
    return torch.Generator().manual_seed(int(stream.generate_state(1)[0]))


def _first_token_states(student: Any, teacher: Any, rows: int) -> tuple[Tensor, Tensor]:
    """Return (L, B, H) first-token states: the student's inner layers and the teacher's they follow."""
    layers, teacher_layers = len(student.hidden_states) - 1, len(teacher.hidden_states) - 1
    inner = range(1, layers)  # the last layer learns from the logits
    follows = [layer * teacher_layers // layers for layer in inner]
    return (
        torch.stack([student.hidden_states[i][:rows, 0] for i in inner]),
        torch.stack([teacher.hidden_states[i][:rows, 0] for i in follows]),
    )
