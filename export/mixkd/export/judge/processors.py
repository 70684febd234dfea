"""The answers on other processors, whose int8 sums may saturate: onnxruntime runs on each, emulated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.bench.targets.emulate import PROCESSORS, EmulatedTarget
from mixkd.bench.variants import OnnxVariant
from mixkd.errors import ConfigError
from mixkd.export.judge.judge import same_answers
from mixkd.metrics import format_rate
from mixkd.runtime.encoding import Text
from mixkd.task import Task

GOLDEN_TEXTS = 200
SAME_LABELS = 0.995
"""The smallest share of equal labels that isn't mentioned in the notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherProcessor:
    """How another processor answers the same texts.

    Attributes:
        name: Its name, as `--target-isa` takes it.
        texts: How many were answered.
        agreement: Share of texts that get the same answer as on this machine's processor.
        largest_difference: The largest difference of a logit.
    """

    name: str
    texts: int
    agreement: float
    largest_difference: float

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know; nothing where the answers are the same."""
        if self.agreement >= SAME_LABELS:
            return ()
        return (
            f"{format_rate(1 - self.agreement)} of the labels differ on {self.name}: use --recipe portable",
        )


def check_processors(names: Sequence[str]) -> None:
    """Refuse processors that can't be emulated here, before any work.

    Raises:
        ConfigError: If there is no such processor, or something to emulate it isn't installed.
    """
    if unknown := [name for name in names if name not in PROCESSORS]:
        raise ConfigError(f"--target-isa must be one of {', '.join(PROCESSORS)}, not {unknown[0]}")
    for name in names:
        if missing := EmulatedTarget.named(name).missing():
            raise ConfigError(f"--target-isa {name} needs {missing}")


def compare_processors(
    names: Sequence[str], variant: OnnxVariant, texts: Sequence[Text], task: Task
) -> tuple[OtherProcessor, ...]:
    """Answer texts on this processor and on others, each in a process of its own.

    Args:
        names: The others, of `mixkd.bench.targets.emulate.PROCESSORS`.
        variant: The graph.
        texts: The texts.
        task: What the outputs mean.

    Raises:
        MeasureError: If an emulated process fails.
    """
    if not names:
        return ()
    here = _answers(LocalTarget(), variant, texts)
    found = []
    for name in names:
        there = _answers(EmulatedTarget.named(name), variant, texts)
        found.append(
            OtherProcessor(
                name=name,
                texts=len(texts),
                agreement=float(same_answers(there, here, task).mean()),
                largest_difference=float(np.abs(there - here).max()),
            )
        )
    return tuple(found)


def _answers(target: Target, variant: OnnxVariant, texts: Sequence[Text]) -> NDArray[np.float32]:
    with target, WorkerProcess(variant, target, threads=1) as worker:
        worker.load(texts[0])
        return worker.logits(texts)
