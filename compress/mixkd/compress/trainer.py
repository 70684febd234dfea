"""transformers.Trainer around the objective: optimizer, order of the texts, evaluation, checkpoints."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
)
from transformers.trainer_utils import EvalLoopOutput

from mixkd import metrics
from mixkd.compress.arguments import SELECTION, training_arguments
from mixkd.compress.batches import LengthGroupedSampler
from mixkd.compress.completion import complete_checkpoints, remove_checkpoint, seal_checkpoint
from mixkd.compress.config import TrainingConfig
from mixkd.compress.data import Collator, token_counts
from mixkd.compress.mixup import Batch
from mixkd.compress.objective import TARGETS, Objective, step_generator
from mixkd.compress.reporting import EvaluateAtTheEnd, ProgressReporter
from mixkd.errors import TrainingError
from mixkd.progress import Progress, no_progress

_KEPT_CHECKPOINTS = 2
_TIE = 1e-9


class ObjectiveTrainer(Trainer):
    """transformers.Trainer whose loss is an `Objective`.

    Args:
        objective: Its student is trained in place; its teacher is moved to the training's device.
        config: The stage's options, resolved.
        train: Training rows.
        validation: Rows evaluated about ten times.
        collator: Rows to batches.
        checkpoints: The folder for checkpoints.
        progress: Called with the steps done, and the loss and the validation metrics as they come.

    Raises:
        ConfigError: As `training_arguments`.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        config: TrainingConfig,
        train: Dataset,
        validation: Dataset,
        collator: Collator,
        checkpoints: Path,
        progress: Progress = no_progress,
    ) -> None:
        task = objective.task
        callbacks = [EarlyStoppingCallback(config.early_stopping)] if config.early_stopping else []

        def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
            return dict(metrics.evaluate(prediction.predictions, prediction.label_ids, task))

        super().__init__(
            model=objective.student,
            args=training_arguments(
                config, rows=len(train), validation_rows=len(validation), checkpoints=checkpoints
            ),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collator,
            callbacks=[EvaluateAtTheEnd(), *callbacks, ProgressReporter(progress)],
            compute_metrics=compute_metrics,
        )
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = False  # every term is a mean over its batch
        self.objective: Objective = objective.to(self.args.device)
        self.config = config
        self._lengths = token_counts(train)
        self._checkpoints = checkpoints
        self._micro_batch = (-1, -1)  # optimizer step, batch within it
        self._finite = torch.ones((), dtype=torch.bool, device=self.args.device)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return L of one batch of original examples.

        Raises:
            TrainingError: If it isn't a finite number; on an accelerator, within the steps of a log entry.
        """
        loss = self.objective(inputs, generator=self._generator(), forward=model).loss
        self._finite &= torch.isfinite(loss.detach())
        # Reading the value would make an accelerator wait at every step.
        if self.args.device.type == "cpu" or self.state.global_step % self.args.logging_steps == 0:
            self._check_finite()
        return loss

    def _check_finite(self) -> None:
        if not self._finite:
            raise TrainingError(
                f"the loss is not a finite number at step {self.state.global_step + 1} of "
                f"{self.state.max_steps}: lower --learning-rate, or use --precision fp32"
            )

    def _generator(self) -> torch.Generator:
        step = self.state.global_step
        batch = self._micro_batch[1] + 1 if self._micro_batch[0] == step else 0
        self._micro_batch = (step, batch)
        return step_generator(self.config.seed, step=step, batch=batch, process=self.args.process_index)

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Batch,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return loss, logits and targets of one batch without mixing."""
        batch = self._prepare_inputs(inputs)
        with torch.no_grad(), self.autocast_smart_context_manager():
            loss, logits = self.objective.evaluate(batch, forward=model)
        return (loss, None, None) if prediction_loss_only else (loss, logits, batch[TARGETS])

    def evaluation_loop(self, *arguments: Any, **options: Any) -> EvalLoopOutput:
        """Evaluate without changing the random state that dropout uses.

        Starting a data loader draws a seed from it, and a run that is resumed from a checkpoint doesn't
        repeat the evaluation that came before it.
        """
        with torch.random.fork_rng(devices=[]):
            found = super().evaluation_loop(*arguments, **options)
        values = found.metrics or {}
        if (score := values.get(f"eval_{metrics.HEADLINE[self.objective.task]}")) is not None:
            # Of states with the same score the last one: it has learned for longer.
            values[f"eval_{SELECTION}"] = score + _TIE * self.state.global_step
        return found

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        """Make AdamW: no weight decay on biases and normalizations, another learning rate for the head."""
        model = model or self.objective.student
        decayed = set(self.get_decay_parameter_names(model))
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((name in decayed, _is_head(name, model)), []).append(parameter)
        optimizer_class, settings = self.get_optimizer_cls_and_kwargs(self.args, model)
        self.optimizer = optimizer_class(
            [
                {
                    "params": parameters,
                    "weight_decay": self.args.weight_decay if decay else 0.0,
                    "lr": self.config.head_learning_rate if head else self.config.learning_rate,
                }
                for (decay, head), parameters in groups.items()
            ],
            **settings,
        )
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthGroupedSampler:
        return LengthGroupedSampler(
            self._lengths, batch_size=self.args.train_batch_size, seed=self.config.seed
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self._check_finite()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process writes its own random state
        if self.args.should_save:
            folder = self._checkpoints / f"checkpoint-{self.state.global_step}"
            seal_checkpoint(folder)
            for old in complete_checkpoints(self._checkpoints)[:-_KEPT_CHECKPOINTS]:
                if str(old) != self.state.best_model_checkpoint:
                    remove_checkpoint(old)


def set_dropout(model: PreTrainedModel, rate: float | None) -> None:
    """Set every dropout rate of the model; None leaves them as they are."""
    if rate is None:
        return
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        # Attention implementations keep the rate in attributes of their own.
        for name in ("dropout_prob", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, rate)


def _is_head(name: str, model: PreTrainedModel) -> bool:
    return not name.startswith(model.base_model_prefix + ".") or ".pooler." in name
