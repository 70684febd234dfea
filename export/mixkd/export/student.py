"""A student, opened for export: model, tokenizer, labels and length, checked before any work."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mixkd.compress.checkpoints import (
    input_names,
    load_classifier,
    load_tokenizer,
    model_inputs,
    most_tokens,
)
from mixkd.compress.locate import find_model
from mixkd.errors import ConfigError, ModelError
from mixkd.export.lineage import Lineage, lineage_of
from mixkd.labels import LabelSpace, label_space_of
from mixkd.runs import read_run
from mixkd.task import DEFAULT_LENGTH, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROBE_TEXTS = ("", "a", "The first text that a model is asked.", "one two three four five six seven " * 20)
"""What every model is asked before it is exported, and every graph before it is written."""


@dataclass(frozen=True, slots=True)
class Student:
    """A classifier that can be exported.

    Attributes:
        folder: Where it was loaded from.
        model: In fp32 and evaluation mode, with the attention implementation that traces cleanly.
        tokenizer: A fast tokenizer.
        space: The task, and the labels in the order of the outputs.
        max_length: Tokens per text, special ones included.
        lineage: What it goes back to on the hub.
    """

    folder: Path
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    space: LabelSpace
    max_length: int
    lineage: Lineage

    @property
    def task(self) -> Task:
        """What the outputs mean."""
        return self.space.task

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per output; (C,)."""
        return self.space.names

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the graph's inputs."""
        return input_names(self.model, self.tokenizer)

    def check_logits(self, logits: NDArray[np.float32], *, of: str) -> None:
        """Refuse logits that are no answer.

        Args:
            logits: (N, C).
            of: Whose logits they are, for the error.

        Raises:
            ModelError: If one of them is NaN or infinite.
        """
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.folder} can't be exported: {of} gives NaN or infinite logits")


def open_student(student: str | Path, *, max_length: int | None) -> Student:
    """Find and load a student.

    Args:
        student: A folder, as `mkd distill` writes it, or a name on the hub.
        max_length: Tokens per text; None takes the length used in training (its `run.json`), else 128. No
            more than the model takes.

    Raises:
        ModelError: If there is no classifier with a fast tokenizer, or it gives NaN.
        ConfigError: If `max_length` is more than the model takes.
    """
    folder = find_model(str(student))
    model, tokenizer = load_classifier(folder, attention="eager"), load_tokenizer(folder)
    limit = most_tokens(model, tokenizer)
    if max_length is not None and max_length > limit:
        raise ConfigError(f"--max-length must be at most {limit}, the most that {folder} takes")
    trained = ((read_run(folder) or {}).get("config") or {}).get("max_length")
    opened = Student(
        folder=folder,
        model=model,
        tokenizer=tokenizer,
        space=label_space_of(model.config.to_dict(), model=str(folder)),
        max_length=min(max_length or trained or DEFAULT_LENGTH, limit),
        lineage=lineage_of(student),
    )
    opened.check_logits(_probe(opened), of="the PyTorch model")
    return opened


def weights_sha256(folder: Path) -> str | None:
    """Return the sha256 of a model's `model.safetensors`; None where its weights are stored otherwise."""
    file = folder / "model.safetensors"
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _probe(student: Student) -> NDArray[np.float32]:
    encoded = student.tokenizer(
        list(PROBE_TEXTS), padding=True, truncation=True, max_length=student.max_length, return_tensors="pt"
    )
    with torch.inference_mode():
        logits = student.model(**model_inputs(student.model, encoded)).logits
    return np.asarray(logits.numpy(), np.float32)
