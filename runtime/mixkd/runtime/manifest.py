"""The manifest of a bundle, `mkd.json`: what the files mean, their sizes and sha256."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from mixkd.errors import BundleError
from mixkd.runtime.files import new_sha256
from mixkd.task import Task

MANIFEST_FILE = "mkd.json"
SIGNATURE_FILE = "mkd.json.sig"
SIGNATURE_BYTES = 64
FORMAT_VERSION = 1
INT8_FILE = "onnx/model_quantized.onnx"
FP32_FILE = "onnx/model.onnx"
TEXT_GRAPH_FILE = "onnx/text_to_label.onnx"
DETAILS_FILE = "export.json"
CARD_FILE = "README.md"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
OWN_FILES = frozenset(
    {
        INT8_FILE,
        FP32_FILE,
        TEXT_GRAPH_FILE,
        TOKENIZER_FILE,
        TOKENIZER_CONFIG_FILE,
        "config.json",
        DETAILS_FILE,
        CARD_FILE,
    }
)
"""What `mkd export` writes beside the manifest, all of it: nothing else goes to the hub or comes from it."""

LOGITS, PROBABILITIES = "logits", "probabilities"

MAX_MANIFEST_BYTES = 2**24
MAX_FILE_BYTES = 2**31
"""The largest file that is read: ONNX itself ends at 2 GiB."""

MAX_TOKENIZER_BYTES = 2**26
"""The largest `tokenizer.json` that is read: mmBERT's, of 256,000 pieces, has 34 MB."""

MAX_TOKENIZER_CONFIG_BYTES = 2**22
MAX_LENGTH = 2**17
"""The largest maximum length, in tokens; the longest context of an encoder today is 8,192."""

_MAX_NAME = 1024
_SHA256_DIGITS = 64


class Precision(StrEnum):
    """The number format of the weights that carry the matrix products."""

    INT8 = "int8"
    FP32 = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """What a file of the bundle must be."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of `mkd.json`.

    Attributes:
        task: What the outputs mean.
        labels: One name per output, in order; (C,).
        max_length: Tokens per text, special ones included; longer texts are truncated.
        inputs: The graph's input names, in its order.
        model_file: The file that answers, relative to the folder.
        precision: Its number format.
        recipe: How it was quantized; ``none`` for fp32.
        quality: Measured on real text at export: metrics per variant, agreement.
        provenance: Versions, seed, config, fingerprints of the data and of the student's weights.
        threshold: The least score that counts, calibrated by `mkd calibrate`; None lets the best label count.
        abstain_label: The label where no score counts.
        files: Size and sha256 of every other file of the folder.
    """

    task: Task
    labels: tuple[str, ...]
    max_length: int
    inputs: tuple[str, ...]
    model_file: str
    precision: Precision
    recipe: str
    quality: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    abstain_label: str | None = None
    files: Mapping[str, FileEntry] = field(default_factory=dict)

    @property
    def scores(self) -> str:
        """The graph's output that an app reads."""
        return LOGITS if self.task is Task.REGRESSION else PROBABILITIES


def manifest_text(manifest: Manifest) -> str:
    """Return the content of `mkd.json`.

    Raises:
        ValueError: If it holds a number that JSON hasn't.
    """
    body = {"format_version": FORMAT_VERSION, **asdict(manifest)}
    body = {"checksum": checksum(body), **body}
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse_manifest(content: bytes, path: Path, *, verify: bool = True, lean: bool = False) -> Manifest:
    """Return what the content of a manifest says.

    Args:
        content: The bytes of `mkd.json`.
        path: Where they were read, for errors.
        verify: Check its checksum, which shows damage; whoever changes it on purpose changes that too.
        lean: Hash without OpenSSL.

    Raises:
        BundleError: If it isn't a manifest, or makes no sense.
    """
    try:
        body = json.loads(content.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is damaged ({error}): export the bundle again") from error
    version = body.get("format_version") if isinstance(body, dict) else None
    if version != FORMAT_VERSION or type(version) is not int:
        raise BundleError(f"{path} has format version {version!r}, this mixkd reads {FORMAT_VERSION}")
    try:
        if verify:
            rest = {name: value for name, value in body.items() if name != "checksum"}
            if body.get("checksum") != checksum(rest, lean=lean):
                raise BundleError(f"{path} was changed after the export (checksum differs): export it again")
        manifest = _manifest(body)
        _check_whole(manifest)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path} is damaged ({_said(error)}): export the bundle again") from error
    return manifest


def checksum(body: Mapping[str, Any], *, lean: bool = False) -> str:
    """Return a sha256 of the manifest's meaning; it shows damage, not malice."""
    digest = new_sha256(lean=lean)
    digest.update(json.dumps(body, sort_keys=True, ensure_ascii=True).encode("ascii"))
    return digest.hexdigest()


def largest_size(name: str) -> int:
    """Return the bytes that a file of the bundle may have at most."""
    limits = {TOKENIZER_FILE: MAX_TOKENIZER_BYTES, TOKENIZER_CONFIG_FILE: MAX_TOKENIZER_CONFIG_BYTES}
    return limits.get(name, MAX_FILE_BYTES)


def _manifest(body: dict[str, Any]) -> Manifest:
    return Manifest(
        task=Task(body["task"]),
        labels=_texts(body["labels"]),
        max_length=_whole(body["max_length"], MAX_LENGTH),
        inputs=_texts(body["inputs"]),
        model_file=_file_name(body["model_file"]),
        precision=Precision(body["precision"]),
        recipe=_text(body["recipe"]),
        quality=_mapping(body["quality"]),
        provenance=_mapping(body["provenance"]),
        threshold=_share(body["threshold"]),
        abstain_label=None if body["abstain_label"] is None else _text(body["abstain_label"]),
        files={
            _file_name(name): FileEntry(
                size_bytes=_whole(entry["size_bytes"], largest_size(name)), sha256=_digest(entry["sha256"])
            )
            for name, entry in _mapping(body["files"]).items()
        },
    )


def _check_whole(manifest: Manifest) -> None:
    if manifest.task is Task.REGRESSION and len(manifest.labels) != 1:
        raise ValueError(f"a regression with {len(manifest.labels)} outputs: one output is read")
    absent = {manifest.model_file, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE} - set(manifest.files)
    if absent:
        raise ValueError(f"it doesn't list {min(absent)}")


def _said(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    value.encode("utf-8")  # a surrogate without its partner can't be printed or written
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("not a list of names")
    if len(set(map(_text, value))) != len(value):
        raise ValueError("a name stands twice")
    return tuple(value)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a mapping")
    return value


def _whole(value: Any, largest: int) -> int:
    if type(value) is not int or not 0 < value <= largest:
        raise ValueError(f"{value!r} is not a whole number from 1 to {largest}")
    return value


def _share(value: Any) -> float | None:
    if value is not None and not (isinstance(value, float) and 0 <= value <= 1):
        raise ValueError(f"{value!r} is not a probability")
    return value


def _digest(value: Any) -> str:
    if len(_text(value)) != _SHA256_DIGITS or value.strip("0123456789abcdef"):
        raise ValueError(f"{value!r} is not a sha256")
    return str(value)


def _file_name(name: Any) -> str:
    parts = PurePosixPath(_text(name)).parts
    if not parts or len(name) > _MAX_NAME or "/".join(parts) != name or ".." in parts:
        raise ValueError(f"{name[:_MAX_NAME]!r} is not the name of a file in the folder")
    if name in {MANIFEST_FILE, SIGNATURE_FILE} or not name.isprintable() or set('\\:*?"<>|') & set(name):
        raise ValueError(f"{name!r} is not a name that a file of a bundle may have")
    return str(name)
