"""A student folder, opened for export: its model, tokenizer, labels and length, checked before any work."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mixkd.errors import ConfigError, ModelError
from mixkd.export.convert import load_classifier
from mixkd.runs import read_run
from mixkd.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

DEFAULT_LENGTH = 128
_TASKS = {
    None: Task.SINGLE_LABEL,
    "single_label_classification": Task.SINGLE_LABEL,
    "multi_label_classification": Task.MULTI_LABEL,
    "regression": Task.REGRESSION,
}
_COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})
# These number their positions from the padding id + 1, so that many rows of the table are never used.


@dataclass(frozen=True, slots=True)
class Student:
    """A classifier that can be exported.

    Attributes:
        folder: Where it stands.
        model: In fp32 and eval mode, with attention that traces cleanly.
        tokenizer: A fast tokenizer.
        task: What the outputs mean.
        labels: (C,) in the order of the outputs.
        max_length: Tokens per text.
    """

    folder: Path
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    task: Task
    labels: tuple[str, ...]
    max_length: int

    def sha256(self) -> str | None:
        """Return the sha256 of its `model.safetensors`, None where it is stored otherwise."""
        file = self.folder / "model.safetensors"
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def open_student(folder: Path, *, max_length: int | None) -> Student:
    """Load a student folder.

    Args:
        folder: A Hugging Face folder, as `mkd distill` writes it.
        max_length: Tokens per text; None takes what it was trained with (its `run.json`), else the smallest
            of 128 and what tokenizer and model can take.

    Raises:
        ModelError: If the folder holds no classifier, or no fast tokenizer.
        ConfigError: If the length is more than the model has positions for.
    """
    model = load_classifier(folder, attention="eager")
    tokenizer = load_tokenizer(folder)
    config = model.config
    if config.problem_type not in _TASKS:
        raise ModelError(f"{folder} has the problem type {config.problem_type!r}, which mixkd doesn't know")
    task = Task.REGRESSION if config.num_labels == 1 else _TASKS[config.problem_type]
    names = config.id2label or {}
    labels = tuple(str(names.get(i, i)) for i in range(config.num_labels))
    limit = position_limit(model)
    if max_length is not None and max_length > limit:
        raise ConfigError(
            f"--max-length must be at most {limit}, the positions of {folder}, not {max_length}"
        )
    run = read_run(folder) or {}
    trained = run.get("config", {}).get("max_length")
    length = max_length or trained or min(DEFAULT_LENGTH, tokenizer.model_max_length)
    return Student(folder, model, tokenizer, task, labels, min(length, limit))


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Load the fast tokenizer of a Hugging Face folder.

    Raises:
        ModelError: If there is none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} has no tokenizer that can be loaded: {error}".splitlines()[0]) from error
    if not tokenizer.is_fast:
        raise ModelError(f"{folder} has a slow tokenizer only: the runtime needs a tokenizer.json")
    return tokenizer


def position_limit(model: "PreTrainedModel") -> int:
    """Return the tokens of the longest text that a model has positions for."""
    config = model.config
    rows = int(getattr(config, "max_position_embeddings", 0) or 10**9)
    counts_from_padding = config.model_type in _COUNT_FROM_PADDING
    return rows - (config.pad_token_id or 0) - 1 if counts_from_padding else rows
