"""The options of a training as transformers.TrainingArguments."""

import os
from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.integrations.integration_utils import get_available_reporting_integrations

from mixkd import metrics
from mixkd.compress.config import Precision, TrainingConfig
from mixkd.compress.processes import on_cpu
from mixkd.errors import ConfigError
from mixkd.task import Task


def training_arguments(
    config: TrainingConfig, task: Task, *, rows: int, checkpoints: Path
) -> TrainingArguments:
    """Return the arguments of a training.

    Args:
        config: The options, resolved.
        task: Its main metric chooses the best epoch.
        rows: Training rows.
        checkpoints: The folder for checkpoints.

    Raises:
        ConfigError: If the hardware lacks the precision, or an experiment tracker isn't installed.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batches = -(-rows // (config.batch_size * processes))
    steps = max(1, int(-(-batches // config.gradient_accumulation) * config.epochs))
    precision = native_precision(config.precision)
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
        load_best_model_at_end=choosing,
        metric_for_best_model=metrics.HEADLINE[task] if choosing else None,
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
