"""The bundle: the folder that `mkd export` writes and that apps read.

::

    bundle/
      mkd.json                     the manifest: what the files mean, their sizes and sha256
      config.json                  as transformers and transformers.js read it
      tokenizer.json               as the tokenizers package reads it
      tokenizer_config.json
      onnx/model_quantized.onnx    int8, under the name that transformers.js and optimum look for
      onnx/model.onnx              fp32, only where it was asked for
      onnx/text_to_label.onnx      text in, label out, only where it was asked for; apps of ours don't read it
      README.md                    model card

The graphs take the manifest's inputs, (B, T) int64 each, and give ``logits``, (B, C) float32, and
``probabilities``, (B, C), which add up to one for a single label and stand each for itself for several. A
regression's values are its logits; it has no probabilities.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mixkd.errors import BundleError
from mixkd.task import Task

if TYPE_CHECKING:
    import hashlib

MANIFEST_FILE = "mkd.json"
FORMAT_VERSION = 1
INT8_FILE = "onnx/model_quantized.onnx"
FP32_FILE = "onnx/model.onnx"
LOGITS, PROBABILITIES = "logits", "probabilities"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
MAX_FILE_BYTES = 2**31
"""The largest file that is read: ONNX itself ends at 2 GiB."""

MAX_MANIFEST_BYTES = 2**24
_HASHED_AT_ONCE = 2**16


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
        provenance: Versions, seed, data fingerprint, config, where the student stood.
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


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: its folder and its checked manifest."""

    folder: Path
    manifest: Manifest

    @property
    def model_path(self) -> Path:
        """The ONNX file that answers."""
        return self.folder / self.manifest.model_file

    @property
    def fp32_path(self) -> Path | None:
        """The fp32 ONNX file, where the bundle keeps one."""
        return self.folder / FP32_FILE if FP32_FILE in self.manifest.files else None

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer, in the tokenizers package's format."""
        return self.folder / TOKENIZER_FILE


def open_bundle(folder: str | Path, *, verify: bool = True, lean: bool = False) -> Bundle:
    """Read and check a bundle's manifest, and its files against it.

    Args:
        folder: The bundle.
        verify: Also hash the manifest and every file; sizes are checked always.
        lean: Hash without OpenSSL, which takes 4 MB: a quarter as fast.

    Raises:
        BundleError: If the folder isn't a bundle, or any file isn't the one that was exported.
    """
    folder = Path(folder)
    body = _read_manifest(folder)
    if verify:
        _check_manifest(body, folder / MANIFEST_FILE, lean=lean)
    manifest = _parse(body, folder / MANIFEST_FILE)
    for name, entry in manifest.files.items():
        _check_file(folder, name, entry, verify=verify, lean=lean)
    return Bundle(folder, manifest)


def seal_bundle(folder: Path, manifest: Manifest) -> Bundle:
    """Write `mkd.json` for the files that stand in the folder; `manifest.files` is filled in here."""
    entries = {
        path.relative_to(folder).as_posix(): FileEntry(size_bytes=path.stat().st_size, sha256=_sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_FILE
    }
    write_manifest(folder, replace(manifest, files=entries))
    return open_bundle(folder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `mkd.json` in one step: a reader finds the old one or the new one."""
    from mixkd.outputs import whole_file  # an app that only reads needs none of it

    body = {"format_version": FORMAT_VERSION, **asdict(manifest)}
    body = {"checksum": _checksum(body), **body}
    text = json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with whole_file(folder / MANIFEST_FILE) as file:
        file.write(text)


def _read_manifest(folder: Path) -> Any:
    path = folder / MANIFEST_FILE
    if not path.is_file() or path.is_symlink():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST_FILE}; make one with mkd export")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise BundleError(f"{path} is damaged: larger than any manifest; export the bundle again")
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is damaged ({error}): export the bundle again") from error


def _check_manifest(body: Any, path: Path, *, lean: bool) -> None:
    if isinstance(body, dict) and body.get("format_version") == FORMAT_VERSION:
        rest = {name: value for name, value in body.items() if name != "checksum"}
        if body.get("checksum") != _checksum(rest, lean=lean):
            raise BundleError(f"{path} was changed after the export (checksum differs): export it again")


def _parse(body: Any, path: Path) -> Manifest:
    version = body.get("format_version") if isinstance(body, dict) else None
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise BundleError(f"{path} has format version {version!r}, this mixkd reads {FORMAT_VERSION}")
    try:
        manifest = Manifest(
            task=Task(body["task"]),
            labels=_names(body["labels"]),
            max_length=_positive(body["max_length"]),
            inputs=_names(body["inputs"]),
            model_file=_inside(body["model_file"]),
            precision=Precision(body["precision"]),
            recipe=str(body["recipe"]),
            quality=dict(body["quality"]),
            provenance=dict(body["provenance"]),
            threshold=_share(body["threshold"]),
            abstain_label=None if body["abstain_label"] is None else str(body["abstain_label"]),
            files={
                _inside(name): FileEntry(
                    size_bytes=_positive(entry["size_bytes"]), sha256=str(entry["sha256"])
                )
                for name, entry in body["files"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path} is damaged ({error!r}): export the bundle again") from error
    if manifest.task is Task.REGRESSION and len(manifest.labels) != 1:
        raise BundleError(f"{path} is a regression with {len(manifest.labels)} outputs: one output is read")
    absent = {manifest.model_file, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE} - set(manifest.files)
    if absent:
        raise BundleError(f"{path} is damaged: it doesn't list {min(absent)}; export the bundle again")
    return manifest


def _checksum(body: Mapping[str, Any], *, lean: bool = False) -> str:
    """Return a sha256 of the manifest's meaning; it shows damage, not malice."""
    digest = _new_sha256(lean=lean)
    digest.update(json.dumps(body, sort_keys=True, ensure_ascii=True).encode("ascii"))
    return digest.hexdigest()


def _share(value: Any) -> float | None:
    if value is not None and not (isinstance(value, float) and 0 <= value <= 1):
        raise ValueError(f"{value!r} is not a probability")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError("not a list of names")
    if len(set(value)) != len(value):
        raise ValueError("a name stands twice")
    return tuple(value)


def _positive(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{value!r} is not a positive whole number")
    return value


def _inside(name: Any) -> str:
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith(("/", "\\"))
        or ".." in parts
        or "\\" in name
        or ":" in name
        or "\0" in name
    ):
        raise ValueError(f"{name!r} leaves the folder")
    return str(name)


def _check_file(folder: Path, name: str, entry: FileEntry, *, verify: bool, lean: bool) -> None:
    path = folder / name
    if any(p.is_symlink() for p in (path, *path.parents) if p.is_relative_to(folder) and p != folder):
        raise BundleError(f"{path} is a link: a bundle holds its files itself")
    try:
        size = path.stat().st_size if path.is_file() else None
        if size != entry.size_bytes:
            found = "missing" if size is None else f"{size} bytes where the manifest says {entry.size_bytes}"
            raise BundleError(f"{path} is {found}: copy or export the bundle again")
        if size > MAX_FILE_BYTES:
            raise BundleError(f"{path} is {size} bytes: more than an ONNX file can hold")
        if verify and _sha256(path, lean=lean) != entry.sha256:
            raise BundleError(
                f"{path} is not the file that was exported (sha256 differs): copy or export it again"
            )
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror or error}") from error


def _sha256(path: Path, *, lean: bool = False) -> str:
    digest, buffer = _new_sha256(lean=lean), memoryview(bytearray(_HASHED_AT_ONCE))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def _new_sha256(*, lean: bool) -> "hashlib._Hash":
    if lean:
        # Python's own, the one that hashlib falls back on; 3.12 renamed its module.
        for name in ("_sha2", "_sha256"):
            try:
                return import_module(name).sha256()  # type: ignore[no-any-return]
            except ImportError:
                continue
    import hashlib  # 4 MB, for OpenSSL comes with it

    return hashlib.sha256()
