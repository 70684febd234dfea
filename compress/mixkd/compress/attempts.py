"""Trainings that fail: what counts as one, and what the next attempt does otherwise.

Fine-tuning on small sets sometimes ends where it began: every text gets the same answer. Another order of
the texts, another new head and smaller steps mend most of it (Mosbach et al. and Zhang et al., ICLR 2021).
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mixkd.compress.config import TrainingConfig, settled
from mixkd.outputs import whole_file
from mixkd.task import Task

_Config = TypeVar("_Config", bound=TrainingConfig)
_SEED_STEP = 1_000_003
"""Far from the seeds that users choose, so that no attempt repeats another run."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed.

    Attributes:
        seed: Of its head, its order and its pairs.
        learning_rate: The peak.
        why: What happened, a clause.
    """

    seed: int
    learning_rate: float
    why: str

    def __str__(self) -> str:
        return f"the training with seed {self.seed} and rate {self.learning_rate:.2g} failed: {self.why}"


class Attempts:
    """The attempts of one training that failed, kept in a file: a resumed run goes on with the right one.

    Args:
        file: Where they are kept.
        write: Write it; of several processes only the first one does.
    """

    def __init__(self, file: Path, *, write: bool) -> None:
        self._file = file
        self._write = write
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        self.failed = [Failure(**failure) for failure in kept]

    def next_config(self, config: _Config) -> _Config:
        """Return the options of the next attempt; those of the first are the ones that are given."""
        number = len(self.failed)
        return replace(
            config,
            seed=config.seed + number * _SEED_STEP,
            learning_rate=settled(config.learning_rate) / 2**number,
            head_learning_rate=settled(config.head_learning_rate) / 2**number,
        )

    def add(self, config: TrainingConfig, why: str, *, last: bool = False) -> None:
        """Record that an attempt failed.

        Args:
            config: Its options.
            why: What happened, a clause.
            last: No other follows: the file stays as it is, so that a resumed run ends with this one too.
        """
        self.failed.append(Failure(config.seed, settled(config.learning_rate), why))
        if self._write and not last:
            with whole_file(self._file) as file:
                file.write(json.dumps([asdict(each) for each in self.failed]) + "\n")

    def notes(self) -> tuple[str, ...]:
        """Return a line for each."""
        return tuple(map(str, self.failed))


def chance_level(targets: NDArray[np.float32], task: Task) -> float:
    """Return what the headline metric can reach on these rows without looking at the texts.

    It is the score of the best constant answer plus one standard error. A constant has no correlation; its
    standard error there is 1 / sqrt(N).
    """
    truth = np.asarray(targets, np.float64)
    truth = truth[~np.isnan(truth).any(axis=1)]
    rows = max(len(truth), 1)
    match task:
        case Task.REGRESSION:
            return float(1 / np.sqrt(rows))
        case Task.SINGLE_LABEL:
            share = np.bincount(truth.argmax(axis=1)).max() / rows if len(truth) else 0.0
        case Task.MULTI_LABEL:
            share = _best_constant_f1(truth > 0.5)
    return float(share + np.sqrt(share * (1 - share) / rows))


def _best_constant_f1(truth: NDArray[np.bool_]) -> float:
    """Return the best micro F1 of one set of labels for every text: the k most frequent ones, for some k."""
    counts = np.sort(truth.sum(axis=0))[::-1]
    answered = np.arange(1, len(counts) + 1)
    return float((2 * counts.cumsum() / (counts.sum() + answered * len(truth))).max(initial=0.0))
