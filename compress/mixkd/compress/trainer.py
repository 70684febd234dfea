"""The training step: the objective of `losses` on one batch, inside transformers.Trainer.

Fine-tuning is the same step with the weight of every teacher term at zero.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.integrations.integration_utils import get_available_reporting_integrations
from transformers.trainer_utils import EvalLoopOutput

from mixkd import metrics
from mixkd.compress.batches import LengthGroupedSampler
from mixkd.compress.checkpoints import model_inputs
from mixkd.compress.config import DistillConfig, Precision, TrainingConfig
from mixkd.compress.data import Collator, token_counts
from mixkd.compress.losses import (
    Weights,
    hidden_loss,
    logit_distance,
    mle_loss,
    student_mixup_loss,
    weighted_sum,
)
from mixkd.compress.mixup import Mix, draw_mix, mix_embeddings, mix_masks, mix_segments
from mixkd.compress.processes import on_cpu
from mixkd.compress.reporting import LineReporter
from mixkd.errors import ConfigError
from mixkd.labels import LabelSpace
from mixkd.temporaries import flush

COMPLETE = "complete"
"""The file that a checkpoint gets last: without it the checkpoint is half-written and never loaded."""

Batch = dict[str, Tensor]


class ObjectiveTrainer(Trainer):
    """transformers.Trainer whose loss is the MixKD objective.

    Args:
        model: The student, or what is fine-tuned.
        teacher: Asked without gradient, in evaluation mode; None where no term needs it.
        weights: The α of every term.
        mixing: How pairs, shares and distances are drawn and computed.
        labels: The label space of both.
        config: The stage's options, resolved.
        train: Training rows.
        validation: Rows evaluated after every epoch.
        collator: Rows to batches.
        checkpoints: Where checkpoints go.

    Attributes:
        student: The model as it was given, without what a distributed run wraps around it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        teacher: PreTrainedModel | None,
        weights: Weights,
        mixing: DistillConfig,
        labels: LabelSpace,
        config: TrainingConfig,
        train: Dataset,
        validation: Dataset,
        collator: Collator,
        checkpoints: Path,
    ) -> None:
        callbacks = [EarlyStoppingCallback(config.early_stopping)] if config.early_stopping else []
        super().__init__(
            model=model,
            args=_arguments(config, labels, rows=len(train), checkpoints=checkpoints),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collator,
            callbacks=callbacks,
            compute_metrics=lambda prediction: _metrics(prediction, labels),
        )
        if self.args.disable_tqdm:
            self.remove_callback(PrinterCallback)
            self.add_callback(LineReporter())
        self.model_accepts_loss_kwargs = False  # every term is a mean over its batch
        self._teacher = teacher
        if teacher is not None:
            nn.Module.to(teacher, self.args.device).eval().requires_grad_(False)
        self._weights = weights
        self._mixing = mixing
        self._labels = labels
        self._config = config
        self.student = model
        self._lengths = token_counts(train)
        self._checkpoints = checkpoints
        self._micro_batch = (-1, -1)  # optimiser step, batch within it

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        """Return L for one batch of original examples."""
        targets, known = inputs.pop("labels"), inputs.pop("teacher_logits", None)
        compute = self._mixed_terms if self._weights.mixed else self._original_terms
        terms = compute(model, inputs, targets, known)
        return weighted_sum(terms, self._weights)

    def _original_terms(
        self, model: nn.Module, inputs: Batch, targets: Tensor, known: Tensor | None
    ) -> dict[str, Tensor]:
        """Terms without mixing; `known` are the teacher's logits, (B, C), where it was asked beforehand."""
        hidden = self._weights.hidden > 0
        student = model(**model_inputs(self.student, inputs), output_hidden_states=hidden)
        terms = {"mle": mle_loss(student.logits, targets, task=self._labels.task)}
        if known is not None:
            terms["kd"] = self._distance(student.logits, known)
        elif self._weights.distilled:
            teacher = self._ask_teacher(inputs, hidden=hidden)
            terms |= self._teacher_terms(student, teacher, rows=len(targets))
        return terms

    def _mixed_terms(
        self, model: nn.Module, inputs: Batch, targets: Tensor, known: Tensor | None
    ) -> dict[str, Tensor]:
        """All terms; originals and mixed examples pass each model in one forward."""
        rows, task = len(targets), self._labels.task
        hidden = self._weights.hidden > 0
        mix = self._draw(rows).to(targets.device)
        embed = self.student.get_input_embeddings()
        seen = _with_mixed(inputs, embed(inputs["input_ids"]), mix)  # (B + M, T, H)
        student = model(**model_inputs(self.student, seen), output_hidden_states=hidden)
        mixed_logits = student.logits[rows:]  # (M, C)
        terms = {
            "mle": mle_loss(student.logits[:rows], targets, task=task),
            "sm": student_mixup_loss(
                mixed_logits, targets[mix.first], targets[mix.second], mix.lam, task=task
            ),
        }
        if not self._weights.distilled:
            return terms
        if known is not None:
            terms["kd"] = self._distance(student.logits[:rows], known)
        asked_originals = hidden or (self._weights.kd > 0 and known is None)
        teacher = self._ask_teacher_mixed(inputs, mix, originals=asked_originals, hidden=hidden)
        if asked_originals:
            terms |= self._teacher_terms(student, teacher, rows=rows)
        if self._weights.tmkd > 0:
            terms["tmkd"] = self._distance(mixed_logits, teacher.logits[-len(mix.lam) :])
        return terms

    def _teacher_terms(self, student: Any, teacher: Any, *, rows: int) -> dict[str, Tensor]:
        """L_KD and L_hidden, on the first `rows` rows: the original examples."""
        terms = {"kd": self._distance(student.logits[:rows], teacher.logits[:rows])}
        if self._weights.hidden > 0:
            terms["hidden"] = hidden_loss(*_first_token_states(student, teacher, rows))
        return terms

    def _distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return logit_distance(
            student,
            teacher,
            distance=self._mixing.distance,
            temperature=self._mixing.temperature,
            task=self._labels.task,
        )

    def _ask_teacher(self, inputs: Batch, *, hidden: bool) -> Any:
        assert self._teacher is not None
        with torch.no_grad():
            return self._teacher(**model_inputs(self._teacher, inputs), output_hidden_states=hidden)

    def _ask_teacher_mixed(self, inputs: Batch, mix: Mix, *, originals: bool, hidden: bool) -> Any:
        assert self._teacher is not None
        embeddings = self._teacher.get_input_embeddings()(inputs["input_ids"])
        return self._ask_teacher(_with_mixed(inputs, embeddings, mix, originals=originals), hidden=hidden)

    def _draw(self, rows: int) -> Mix:
        """Draw this batch's pairs and shares: a function of seed, step, batch in the step and process."""
        step = self.state.global_step
        batch = self._micro_batch[1] + 1 if self._micro_batch[0] == step else 0
        self._micro_batch = (step, batch)
        stream = np.random.SeedSequence([self._config.seed, step, batch, self.args.process_index])
        generator = torch.Generator().manual_seed(int(stream.generate_state(1)[0]))
        mixing = self._mixing
        return draw_mix(
            rows,
            ratio=mixing.mixup_ratio,
            beta=mixing.beta,
            per_batch=mixing.lambda_per_batch,
            generator=generator,
        )

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Batch,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return loss, logits and targets of one unmixed batch."""
        batch = self._prepare_inputs(inputs)
        targets = batch.pop("labels")
        with torch.no_grad(), self.autocast_smart_context_manager():
            logits = model(**model_inputs(self.student, batch)).logits.float()
        loss = mle_loss(logits, targets, task=self._labels.task)
        return (loss, None, None) if prediction_loss_only else (loss, logits, targets)

    def evaluation_loop(self, *arguments: Any, **options: Any) -> EvalLoopOutput:
        """Evaluate without touching the random stream that dropout draws from.

        Starting a data loader draws a seed from it, and a run that is resumed from a checkpoint at the end of
        an epoch doesn't evaluate that epoch again.
        """
        with torch.random.fork_rng(devices=[]):
            return super().evaluation_loop(*arguments, **options)

    def create_optimizer(self) -> torch.optim.Optimizer:
        """Make AdamW: no decay on biases and normalisations, another rate for the head where asked."""
        model = self.student
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
                    "lr": self._config.head_learning_rate if head else self._config.learning_rate,
                }
                for (decay, head), parameters in groups.items()
            ],
            **settings,
        )
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthGroupedSampler:
        return LengthGroupedSampler(
            self._lengths, batch_size=self.args.train_batch_size, seed=self._config.seed
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]  # theirs
        self.accelerator.wait_for_everyone()  # each process writes its own random state
        if self.args.should_save:
            folder = self._checkpoints / f"checkpoint-{self.state.global_step}"
            for path in folder.rglob("*"):
                flush(path)
            (folder / COMPLETE).touch()
            flush(folder)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end, or None."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)


def _with_mixed(inputs: Batch, embeddings: Tensor, mix: Mix, *, originals: bool = True) -> Batch:
    """Return the model inputs for (originals and) mixed examples, by embeddings; (B, T) to (B + M, T, H)."""
    mask = inputs["attention_mask"]
    parts = {"inputs_embeds": [mix_embeddings(embeddings, mix)], "attention_mask": [mix_masks(mask, mix)]}
    if "token_type_ids" in inputs:
        parts["token_type_ids"] = [mix_segments(inputs["token_type_ids"], mask, mix)]
    if originals:
        unmixed = {**inputs, "inputs_embeds": embeddings}
        parts = {name: [unmixed[name], *part] for name, part in parts.items()}
    return {name: torch.cat(part) for name, part in parts.items()}


def _first_token_states(student: Any, teacher: Any, rows: int) -> tuple[Tensor, Tensor]:
    """Return (L, B, H) first-token states: the student's inner layers and the teacher's they follow."""
    layers, teacher_layers = len(student.hidden_states) - 1, len(teacher.hidden_states) - 1
    inner = range(1, layers)  # the last layer is taught through the logits
    follows = [layer * teacher_layers // layers for layer in inner]
    return (
        torch.stack([student.hidden_states[i][:rows, 0] for i in inner]),
        torch.stack([teacher.hidden_states[i][:rows, 0] for i in follows]),
    )


def _is_head(name: str, model: PreTrainedModel) -> bool:
    return not name.startswith(model.base_model_prefix + ".") or ".pooler." in name


def _metrics(prediction: EvalPrediction, labels: LabelSpace) -> dict[str, float]:
    return dict(metrics.evaluate(prediction.predictions, prediction.label_ids, labels.task))


def _arguments(
    config: TrainingConfig, labels: LabelSpace, *, rows: int, checkpoints: Path
) -> TrainingArguments:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batches = -(-rows // (config.batch_size * processes))
    steps = max(1, int(-(-batches // config.gradient_accumulation) * config.epochs))
    precision = _native(config.precision)
    choosing = config.keep_best or config.early_stopping is not None
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=max(64, config.batch_size),
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate or 0.0,
        weight_decay=config.weight_decay,
        warmup_steps=steps // 10,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        eval_strategy="epoch",
        save_strategy="steps" if config.save_steps else "epoch",
        save_steps=config.save_steps or 500,
        save_total_limit=2,
        load_best_model_at_end=choosing,
        metric_for_best_model=metrics.HEADLINE[labels.task] if choosing else None,
        logging_steps=max(1, steps // 20),
        disable_tqdm=not sys.stderr.isatty(),
        report_to=_reporters(config.report_to),
        remove_unused_columns=False,
        use_cpu=on_cpu(),
        dataloader_pin_memory=torch.cuda.is_available(),
        label_names=["labels"],
        seed=config.seed,
        data_seed=config.seed,
        bf16=precision is Precision.BF16,
        fp16=precision is Precision.FP16,
    )


def _reporters(names: str) -> list[str]:
    """Return where to log, refusing what transformers doesn't know or what isn't installed."""
    asked = [name.strip() for name in names.split(",")]
    known = [*get_available_reporting_integrations(), "none", "all"]
    if unknown := [name for name in asked if name not in known]:
        raise ConfigError(
            f"--report-to {unknown[0]}: no such integration is installed, only {', '.join(known)}"
        )
    return asked


def _native(precision: Precision) -> Precision:
    """Return the precision to train in, `auto` resolved by what the hardware does natively."""
    gpu = torch.cuda.is_available()
    if precision is Precision.FP16 and not gpu:
        raise ConfigError("--precision fp16 needs a GPU: use fp32, or bf16 where the processor has it")
    if precision is not Precision.AUTO:
        return precision
    if gpu:
        return Precision.BF16 if torch.cuda.is_bf16_supported() else Precision.FP16
    # Without these instructions bf16 products are emulated, several times slower than fp32 ones.
    features = torch.cpu.get_capabilities()
    return Precision.BF16 if features.get("avx512_bf16") or features.get("amx_bf16") else Precision.FP32
