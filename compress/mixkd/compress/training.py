"""The training itself: one attempt, or several until one is better than chance."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, set_seed

from mixkd.compress.attempts import Attempts, chance_level
from mixkd.compress.checkpoints import non_finite_weight
from mixkd.compress.completion import check_checkpoint, complete_checkpoints, without_code
from mixkd.compress.config import TrainingConfig, settled
from mixkd.compress.data import Collator, TrainingData, has_labels
from mixkd.compress.duration import describe_plan
from mixkd.compress.first_token import first_token_only
from mixkd.compress.objective import Objective
from mixkd.compress.processes import process_state
from mixkd.compress.trainer import ObjectiveTrainer, set_dropout
from mixkd.errors import TrainingError
from mixkd.metrics import HEADLINE, format_metric
from mixkd.progress import Progress

CHECKPOINTS = "checkpoints"
"""The folder of an attempt's checkpoints: this, a hyphen, and the number of the attempt, from 1."""

_VALIDATION = "validation"
_TIMINGS = ("m_runtime", "m_samples_per_second", "m_steps_per_second", "m_model_preparation_time")

Metrics = dict[str, dict[str, float]]
"""Per evaluated split: metric name to value, rates as fractions of one."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made.

    Attributes:
        student: The trained model.
        config: The options of the attempt that made it.
        metrics: Per evaluated split.
        checkpoints: The folder of its checkpoints and logs.
        notes: A line for each attempt that failed.
    """

    student: PreTrainedModel
    config: TrainingConfig
    metrics: Metrics
    checkpoints: Path
    notes: tuple[str, ...]


class Training:
    """One training: the data, and who is told of it.

    Args:
        data: The tokenised splits.
        collator: Rows to batches.
        work: The folder for checkpoints.
        resume: Continue from the newest complete checkpoint.
        announce: Called, in the first process, with the plan and with each attempt that fails.
        progress: Called, in the first process, with what is done, and how far it is.
    """

    def __init__(
        self,
        data: TrainingData,
        collator: Collator,
        *,
        work: Path,
        resume: bool,
        announce: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._data = data
        self._collator = collator
        self._work = work
        self._resume = resume
        self._first = process_state().is_main_process
        self._announce = announce if self._first else lambda _: None
        self._progress = progress

    def run(self, make: Callable[[], Objective], config: TrainingConfig) -> Trained:
        """Train until an attempt is better than chance, or none is left; evaluate on every other split.

        Args:
            make: Makes an untrained objective; what it initialises depends on torch's random state.
            config: The options, settled.

        Raises:
            ConfigError: If the hardware or the installation lacks what an option needs.
            TrainingError: If the loss, or a weight, of the last attempt is no longer a finite number.
        """
        if not has_labels(self._data.evaluated[_VALIDATION]):
            # There is nothing to judge by.
            config = replace(config, keep_best=False, early_stopping=None, retries=0)
        attempts = Attempts(self._work / "attempts.json", write=self._first)
        while True:
            chosen, last = attempts.next_config(config), len(attempts.failed) >= settled(config.retries)
            try:
                trained = self._attempt(make, chosen, attempts, last=last)
            except TrainingError:
                if last:
                    raise
                trained = None
                attempts.add(chosen, "its loss became NaN or infinite")
            if trained is not None:
                return trained
            process_state().wait_for_everyone()
            if self._first:
                shutil.rmtree(self._checkpoints(len(attempts.failed)), ignore_errors=True)
            self._announce(f"{attempts.failed[-1]}; trying again with another seed and half the rates")

    def _attempt(
        self, make: Callable[[], Objective], config: TrainingConfig, attempts: Attempts, *, last: bool
    ) -> Trained | None:
        """Return what an attempt made; None where it is no better than chance and isn't the last."""
        number = len(attempts.failed) + 1
        checkpoints = self._checkpoints(number)
        set_seed(config.seed)
        objective = make()
        set_seed(config.seed)
        student = objective.student
        set_dropout(student, config.dropout)
        student.get_input_embeddings().requires_grad_(not config.freeze_embeddings)
        with ExitStack() as stack:
            for model in (student, objective.teacher):
                if model is not None:
                    stack.enter_context(first_token_only(model))
            trainer = ObjectiveTrainer(
                objective,
                config=config,
                train=self._data.train,
                validation=self._data.evaluated[_VALIDATION],
                collator=self._collator,
                checkpoints=checkpoints,
                progress=self._progress,
            )
            if number == 1 and self._first:
                self._announce(describe_plan(trainer, self._data))
            self._train(trainer, checkpoints)
            metrics, why = self._evaluate(trainer, _VALIDATION)
            if why is not None:
                attempts.add(config, why, last=last)
                if not last:
                    return None
                self._announce(f"{attempts.failed[-1]}: more texts, or another model, may help")
            return Trained(
                student, config, self._all_metrics(trainer, metrics), checkpoints, attempts.notes()
            )

    def _checkpoints(self, attempt: int) -> Path:
        return self._work / f"{CHECKPOINTS}-{attempt}"

    def _train(self, trainer: ObjectiveTrainer, checkpoints: Path) -> None:
        complete = complete_checkpoints(checkpoints) if self._resume else []
        for checkpoint in complete if self._first else []:
            check_checkpoint(checkpoint)
        with without_code():
            trainer.train(resume_from_checkpoint=str(complete[-1]) if complete else None)
        if name := non_finite_weight(trainer.objective.student):
            raise TrainingError(f"the trained weights are not finite ({name}): lower --learning-rate")

    def _all_metrics(self, trainer: ObjectiveTrainer, validation: dict[str, float]) -> Metrics:
        return {
            split: validation if split == _VALIDATION else self._evaluate(trainer, split)[0]
            for split in self._data.evaluated
        }

    def _evaluate(self, trainer: ObjectiveTrainer, split: str) -> tuple[dict[str, float], str | None]:
        """Return the metrics of a split, and how they are no better than a constant answer's, where so."""
        splits = list(self._data.evaluated)
        if self._first:
            self._progress(f"evaluating on {split}", splits.index(split), len(splits))
        found = trainer.predict(self._data.evaluated[split], metric_key_prefix="m")
        metrics = {
            name.removeprefix("m_"): value
            for name, value in (found.metrics or {}).items()
            if not name.startswith(_TIMINGS)
        }
        task = trainer.objective.task
        name = HEADLINE[task]
        if name not in metrics or metrics[name] > (chance := chance_level(np.asarray(found.label_ids), task)):
            return metrics, None
        reached, known = format_metric(name, metrics[name]), format_metric(name, chance)
        return metrics, f"{split} {name} {reached} is no better than chance, which reaches {known}"
