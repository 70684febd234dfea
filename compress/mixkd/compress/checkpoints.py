"""Loading models and tokenizers from folders: the only code that does, for training and export alike.

Code in a folder is never run: a model that needs some is refused, and `trust_remote_code=False` keeps
transformers from asking whether it may. A model with a weight that isn't finite is refused too.
"""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

import mixkd.compress.bag  # noqa: F401 - makes our own architecture known to transformers
from mixkd.errors import MkdError, ModelError, first_line
from mixkd.labels import LabelSpace
from mixkd.task import PROBLEM_TYPES

_NO_LIMIT = 10**9
_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_CODE_FILES = ("config.json", "tokenizer_config.json")


def load_classifier(folder: Path, *, attention: Literal["sdpa", "eager"] = "sdpa") -> PreTrainedModel:
    """Load a fine-tuned sequence classifier, in float32 and evaluation mode.

    Args:
        folder: A Hugging Face folder.
        attention: ``sdpa`` is the fastest implementation that the architecture has in PyTorch, ``eager`` the
            plain one, which traces cleanly.

    Raises:
        ModelError: If the folder's model can't be loaded, has no trained classification head, has a weight
            that isn't finite, or needs Python code of its own.
    """
    options = {"attn_implementation": "eager"} if attention == "eager" else {}
    with _loading(folder, "a classifier"):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, output_loading_info=True, dtype="float32", **options, **_SAFE
        )
    if report["missing_keys"]:
        raise ModelError(
            f"{folder} has no trained classification head ({min(report['missing_keys'])} is missing): "
            "fine-tune it first with mkd finetune"
        )
    classifier: PreTrainedModel = model
    _check_weights(classifier, folder)
    return classifier


def load_with_new_head(folder: Path, labels: LabelSpace) -> PreTrainedModel:
    """Load a pretrained encoder as a classifier of the given labels, in float32.

    A head that is missing or has another size is newly initialised.

    Raises:
        ModelError: If the folder's model can't be loaded, has a weight that isn't finite, or needs Python
            code of its own.
    """
    with _loading(folder, "a classifier"):
        config = AutoConfig.from_pretrained(folder, **_SAFE)
        configure(config, labels)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype="float32", ignore_mismatched_sizes=True, **_SAFE
        )
    _check_weights(model, folder)
    return model


def load_translator(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a sequence-to-sequence model, in evaluation mode, and its tokenizer, fast or slow.

    Raises:
        ModelError: If either can't be loaded, or needs Python code of its own.
    """
    with _loading(folder, "a translation model"):
        model: PreTrainedModel = AutoModelForSeq2SeqLM.from_pretrained(folder, **_SAFE)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **_SAFE)
    _check_weights(model, folder)
    return model, tokenizer


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a model's fast tokenizer.

    Raises:
        ModelError: If it can't be loaded, is a slow one, which no bundle can hold, or needs Python code of
            its own.
    """
    with _loading(folder, "a tokenizer"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **_SAFE)
    if not tokenizer.is_fast:
        raise ModelError(f"{folder} has only a slow tokenizer: a fast one, with a tokenizer.json, is needed")
    return tokenizer


def configure(config: PretrainedConfig, labels: LabelSpace) -> None:
    """Write label names and task into a model's config; their number sets the size of its head."""
    config.num_labels = len(labels.names)
    config.id2label = dict(enumerate(labels.names))
    config.label2id = {name: i for i, name in enumerate(labels.names)}
    config.problem_type = PROBLEM_TYPES[labels.task]


def most_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> int:
    """Return how many tokens of one text the model takes, special ones included.

    Args:
        model: Its position table, or where it has none its config, sets the limit.
        tokenizer: Its own limit counts too where it is given.
    """
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    limits = [getattr(model.config, "max_position_embeddings", None)]
    if isinstance(table, nn.Embedding):
        # RoBERTa and its kin number positions from the padding index + 1: the rows before aren't used.
        first = 0 if table.padding_idx is None else table.padding_idx + 1
        limits = [table.num_embeddings - first]
    if tokenizer is not None:
        limits.append(tokenizer.model_max_length)
    return int(min((limit for limit in limits if limit), default=_NO_LIMIT))


def non_finite_weight(model: nn.Module) -> str | None:
    """Return the name of a weight that holds NaN or infinity, or None."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return name
    return None


def model_inputs(model: PreTrainedModel, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a batch that the model's forward takes as input.

    Segment ids are left out where a model has none, and labels always: handed to `forward` they would make it
    compute a loss of its own.
    """
    names = inspect.signature(model.forward).parameters.keys() - {"labels"}
    return {name: tensor for name, tensor in batch.items() if name in names}


def input_names(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Return what the model takes of what the tokenizer makes, in the order of a graph's inputs."""
    made = {*tokenizer.model_input_names, "attention_mask"} & inspect.signature(
        model.forward
    ).parameters.keys()
    return tuple(name for name in ("input_ids", "attention_mask", "token_type_ids") if name in made)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' notices and progress bars off the screen."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()  # transformers 5 shows one even for reading a file
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _loading(folder: Path, kind: str) -> Iterator[None]:
    """Refuse folders that need code of their own, and turn whatever loading raises into `ModelError`."""
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a model folder: give a folder with config.json")
    for name in _CODE_FILES:
        if _names_code(folder / name):
            raise ModelError(
                f"{folder} needs Python code of its own (auto_map in {name}), and mkd runs none: "
                "give a model whose architecture is part of transformers"
            )
    try:
        with quiet_transformers():
            yield
    except MkdError:
        raise
    except Exception as error:  # each architecture raises errors of its own
        raise ModelError(f"{folder} can't be loaded as {kind}: {first_line(error)}") from error


def _names_code(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # missing or damaged: loading it says so
    return isinstance(content, dict) and bool(content.get("auto_map"))


def _check_weights(model: PreTrainedModel, folder: Path) -> None:
    if name := non_finite_weight(model):
        raise ModelError(f"{folder} has NaN or infinite weights ({name}): train or download it again")
