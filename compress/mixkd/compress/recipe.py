"""What a training does where its options leave it open: batch size, epochs and learning rates.

They follow from the number of training texts, the task, the number of classes and the model's width.
`benchmarks/defaults.py` holds them against a grid on seven data sets.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeVar

from mixkd.compress.config import DistillConfig, TrainingConfig
from mixkd.labels import LabelSpace
from mixkd.task import Task

_Config = TypeVar("_Config", bound=TrainingConfig)

_BATCHES = ((5_000, 16), (50_000, 32))
"""Training texts below which a batch has this size: small sets need steps more than large batches."""

_LARGE_BATCH = 64
_EPOCHS = 3.0
_LEAST_STEPS = 1_000
_MOST_TEXTS = 64_000
_MOST_EPOCHS = 30.0
_FEW_CLASSES = 10
_MOST_RATE = 1e-3
_BAG_EPOCHS = 6.0
_BAG_RATE = 3e-3


@dataclass(frozen=True, slots=True)
class Situation:
    """What a recipe depends on.

    Attributes:
        rows: Training texts, augmented ones included.
        labels: Task and classes.
        width: The hidden size of the model that is trained, H.
        processes: Of the training; each takes a batch.
    """

    rows: int
    labels: LabelSpace
    width: int
    processes: int = 1


def settle(config: _Config, situation: Situation) -> _Config:
    """Return the options with every open one filled in; what is given stays.

    Args:
        config: The options.
        situation: What the open ones depend on.
    """
    batch = config.batch_size or _batch_size(situation.rows)
    texts_per_step = batch * config.gradient_accumulation * situation.processes
    rate = config.learning_rate or _rate(config, situation, batch)
    return replace(
        config,
        batch_size=batch,
        epochs=config.epochs if config.steps else config.epochs or _epochs(config, situation, texts_per_step),
        learning_rate=rate,
        head_learning_rate=config.head_learning_rate or rate * _head_factor(config, situation.labels),
        retries=config.retries if config.retries is not None else _retries(config),
        freeze_embeddings=_freezes(config) if config.freeze_embeddings is None else config.freeze_embeddings,
    )


def _batch_size(rows: int) -> int:
    return next((size for limit, size in _BATCHES if rows < limit), _LARGE_BATCH)


def _epochs(config: TrainingConfig, situation: Situation, texts_per_step: int) -> float:
    """Return three epochs, six for a bag; more below 1,000 steps, fewer above 64,000 texts, or twice that."""
    rows, bag = situation.rows, _is_bag(config)
    wanted = max(_BAG_EPOCHS if bag else _EPOCHS, _LEAST_STEPS / -(-rows // texts_per_step))
    wanted = max(1.0, min(wanted, (2 if bag else 1) * _MOST_TEXTS / rows))
    return min(math.ceil(100 * wanted) / 100, _MOST_EPOCHS)


def _rate(config: TrainingConfig, situation: Situation, batch: int) -> float:
    """Return the peak learning rate; narrow models and large batches take larger steps.

    For 32 texts and many classes a teacher's goes through BERT-base, 768 wide, with its authors' 5e-5, and
    MiniLM, 384 wide, with 2e-4. For MRPC's two classes that was too much: 77.7 % on the validation texts, but
    81 % with 1e-4 and with 5e-5 for 16 texts (one run each).
    """
    if _is_bag(config):
        return _BAG_RATE * math.sqrt(batch / 64)
    if isinstance(config, DistillConfig):
        base, texts = 1e-4, 64
    else:
        base, texts = (5e-5 if _has_many_classes(situation.labels) else 2.5e-5), 32
    return float(min(base * (768 / situation.width) ** 2 * math.sqrt(batch / texts), _MOST_RATE))


def _freezes(config: TrainingConfig) -> bool:
    """Return whether a student keeps its teacher's word embeddings; a bag is hardly more than those."""
    return isinstance(config, DistillConfig) and not config.is_bag


def _is_bag(config: TrainingConfig) -> bool:
    return isinstance(config, DistillConfig) and config.is_bag


def _head_factor(config: TrainingConfig, labels: LabelSpace) -> float:
    """Return how many times faster the head learns: finetune's starts from nothing, and of many classes."""
    return 10.0 if _has_many_classes(labels) and not isinstance(config, DistillConfig) else 1.0


def _has_many_classes(labels: LabelSpace) -> bool:
    return labels.task is not Task.REGRESSION and len(labels.names) > _FEW_CLASSES


def _retries(config: TrainingConfig) -> int:
    """Return 2; what a user chose is not replaced by something else."""
    chosen = (config.epochs, config.steps, config.learning_rate)
    return 2 if chosen == (None, None, None) else 0
