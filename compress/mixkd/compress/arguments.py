"""The options of a training as transformers.TrainingArguments."""

import math
import os
from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.integrations.integration_utils import get_available_reporting_integrations

from mixkd.compress.config import Precision, TrainingConfig, settled
from mixkd.compress.processes import on_cpu
from mixkd.errors import ConfigError

SELECTION = "selection"
"""What the best state is chosen by; the trainer computes it."""

_EVALUATIONS = 10
_EVALUATION_SHARE = 0.1
"""The evaluations take at most about this share of the training's own time."""

_PASSES_PER_STEP = 3
"""A training step costs about as much as three forward passes."""


def planned_steps(config: TrainingConfig, rows: int) -> int:
    """Return the optimizer steps of a training.

    Args:
        config: The options, settled.
        rows: Training rows.
    """
    if config.steps is not None:
        return config.steps
    batches = -(-rows // (settled(config.batch_size) * process_count()))
    return max(1, math.ceil(-(-batches // config.gradient_accumulation) * settled(config.epochs)))


def process_count() -> int:
    """Return the processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def training_arguments(
    config: TrainingConfig, *, rows: int, validation_rows: int, checkpoints: Path
) -> TrainingArguments:
    """Return the arguments of a training.

    Args:
        config: The options, settled.
        rows: Training rows.
        validation_rows: Rows of each evaluation.
        checkpoints: The folder for checkpoints.

    Raises:
        ConfigError: If the hardware lacks the precision, or an experiment tracker isn't installed.
    """
    steps, batch = planned_steps(config, rows), settled(config.batch_size)
    texts = steps * batch * config.gradient_accumulation * process_count()
    interval = config.save_steps or _evaluation_interval(steps, texts, validation_rows)
    precision = native_precision(config.precision)
    choosing = config.keep_best or config.early_stopping is not None
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=config.epochs or 0.0,
        max_steps=config.steps or -1,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=max(64, batch),
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=settled(config.learning_rate),
        weight_decay=config.weight_decay,
        warmup_steps=steps // 10,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        load_best_model_at_end=choosing,
        metric_for_best_model=SELECTION if choosing else None,
        logging_steps=max(1, steps // 20),
        disable_tqdm=True,
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


def _evaluation_interval(steps: int, texts: int, validation_rows: int) -> int:
    """Return the steps between two evaluations: ten of them, fewer where they would take too long."""
    affordable = _EVALUATION_SHARE * _PASSES_PER_STEP * texts / max(validation_rows, 1)
    return max(1, -(-steps // max(2, min(_EVALUATIONS, int(affordable)))))


def native_precision(precision: Precision) -> Precision:
    """Return the precision to train in: `auto` becomes what the hardware computes in natively.

    Raises:
        ConfigError: If fp16 is asked for without a GPU.
    """
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


def _reporters(names: str) -> list[str]:
    asked = [name.strip() for name in names.split(",")]
    known = [*get_available_reporting_integrations(), "none", "all"]
    if unknown := [name for name in asked if name not in known]:
        raise ConfigError(
            f"--report-to {unknown[0]}: no such integration is installed, only {', '.join(known)}"
        )
    return asked
