"""What a training is going to do, and about how long it takes here: told before it starts."""

import time
from collections.abc import Callable

import numpy as np
import torch

from mixkd.compress.arguments import planned_steps, process_count
from mixkd.compress.config import settled
from mixkd.compress.data import TrainingData, token_counts
from mixkd.compress.mixup import Batch
from mixkd.compress.trainer import ObjectiveTrainer

_EVALUATED = 64


def describe_plan(trainer: ObjectiveTrainer, data: TrainingData) -> str:
    """Return the steps, batch size and rates of a training, and its expected duration on this machine.

    A step and an evaluation on texts of average length are timed; neither changes a weight or the random
    state.

    Args:
        trainer: About to start.
        data: What it trains on and what it evaluates.
    """
    config, steps = trainer.config, planned_steps(trainer.config, len(data.train))
    evaluations = -(-steps // trainer.args.save_steps)
    texts = evaluations * len(data.evaluated["validation"]) + sum(map(len, data.evaluated.values()))
    step, text = _time_step(trainer, data), _time_text(trainer, data)
    return (
        f"{steps} steps of {config.batch_size} texts ({_epochs(trainer, len(data.train)):.3g} epochs), "
        f"learning rate {config.learning_rate:.2g}, of the head {config.head_learning_rate:.2g}; about "
        f"{_rounded(steps * config.gradient_accumulation * step + texts * text)} on this machine"
    )


def _epochs(trainer: ObjectiveTrainer, rows: int) -> float:
    """Return how often each text is seen."""
    config = trainer.config
    per_step = settled(config.batch_size) * config.gradient_accumulation * process_count()
    return config.epochs or settled(config.steps) * per_step / rows


def _time_step(trainer: ObjectiveTrainer, data: TrainingData) -> float:
    """Return the seconds of one forward and backward pass on a batch of average length."""
    batch = _average_batch(trainer, data, settled(trainer.config.batch_size))
    student = trainer.objective.student.train()

    def step() -> None:
        with trainer.compute_loss_context_manager():
            loss = trainer.objective(batch).loss
        loss.backward()
        loss.item()  # waits for an accelerator
        student.zero_grad()

    return _seconds_of(step)


def _time_text(trainer: ObjectiveTrainer, data: TrainingData) -> float:
    """Return the seconds that evaluating a text takes."""
    batch = _average_batch(trainer, data, _EVALUATED)
    trainer.objective.student.eval()

    def evaluate() -> None:
        with torch.no_grad(), trainer.compute_loss_context_manager():
            trainer.objective.evaluate(batch)[0].item()

    return _seconds_of(evaluate) / _EVALUATED


def _average_batch(trainer: ObjectiveTrainer, data: TrainingData, size: int) -> Batch:
    """Return a batch of the training texts whose lengths are nearest the mean; some repeat in small sets."""
    lengths = token_counts(data.train)
    nearest = np.argsort(np.abs(lengths - lengths.mean()), kind="stable")
    rows = [data.train[int(i)] for i in np.resize(nearest[:size], size)]
    batch: Batch = trainer.data_collator(rows)
    return {name: tensor.to(trainer.args.device) for name, tensor in batch.items()}


def _seconds_of(work: Callable[[], None]) -> float:
    """Return the seconds of the second of two calls, which keep the random state."""
    with torch.random.fork_rng():
        work()
        started = time.perf_counter()
        work()
    return time.perf_counter() - started


def _rounded(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
