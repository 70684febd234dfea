"""`run.json`: what a stage was asked, on what it ran, and what came out."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError, MkdError
from mixkd.outputs import whole_file
from mixkd.version import __version__

RUN_FILE = "run.json"
RUN_FORMAT = 1
_PACKAGES = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "optimum",
    "optimum-onnx",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "numpy",
)


def versions() -> dict[str, str]:
    """Return the versions of mixkd, Python and the packages that shape a result, where installed."""
    found = {"mixkd": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The record of one stage; equal inputs and seed give an equal record but for `duration_s`.

    Attributes:
        stage: The command, such as ``distill``.
        inputs: What it ran on, by option name: data and columns, and teacher or model.
        config: Every option, resolved.
        seed: The random seed, or None where nothing is random.
        data: Per split: rows and sha256.
        metrics: Per evaluated split: metric name to value; rates are fractions of one.
        notes: Warnings the user saw.
        duration_s: Wall time.
        versions: Python and the packages that matter.
    """

    stage: str
    inputs: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int | None
    data: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    duration_s: float
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=versions)

    def write(self, folder: Path) -> None:
        """Write the record as `run.json` in the folder."""
        body = json.dumps({"format": RUN_FORMAT, **asdict(self)}, indent=2, ensure_ascii=False, default=str)
        # A folder's name need not be UTF-8: its odd bytes become escapes, as JSON has them.
        (folder / RUN_FILE).write_text(body + "\n", encoding="utf-8", errors="backslashreplace")


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the folder's `run.json` as a mapping, or None where there is none.

    Raises:
        MkdError: If the file isn't the JSON that a stage wrote.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return None
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MkdError(f"{path} is damaged: {error}") from error
    if not isinstance(run, dict):
        raise MkdError(f"{path} is damaged: not a JSON object")
    return run


def data_fingerprint(corpus: Corpus, rows: Mapping[str, int]) -> dict[str, Any]:
    """Return name, and rows and sha256 per split that was used."""
    splits = {
        name: {"rows": count, "sha256": corpus.split(name).fingerprint()} for name, count in rows.items()
    }
    return {"name": corpus.name, "splits": splits}


def request_of(corpus: Corpus, *, config: Mapping[str, Any], **inputs: Any) -> dict[str, Any]:
    """Return what a run is asked, as JSON holds it; it can be resumed only by a run that is asked the same.

    Args:
        corpus: Its columns count, and the content of its splits, wherever the files are.
        config: Every option by name.
        inputs: What else the result depends on, such as the teacher.
    """
    data = {name: split.fingerprint() for name, split in corpus.splits.items()}
    asked = {"inputs": inputs, "columns": asdict(corpus.columns), "data": data, "config": dict(config)}
    request: dict[str, Any] = json.loads(json.dumps(asked, default=str))
    return request


def guard_resume(file: Path, request: Mapping[str, Any]) -> None:
    """Record in a file what a run is asked; where the file exists, refuse a run that is asked something else.

    Raises:
        ConfigError: As `refuse_another_request`.
        OutputError: If the file can't be written.
    """
    if not file.is_file():
        with whole_file(file) as begun:
            begun.write(json.dumps(request, indent=2) + "\n")
        return
    refuse_another_request(file.read_text(encoding="utf-8"), request, where=file)


def refuse_another_request(begun: str, request: Mapping[str, Any], *, where: Path) -> None:
    """Refuse to resume a run that was begun with other inputs, options or data.

    Args:
        begun: What the interrupted run was asked: the JSON of its `request_of`.
        request: What this run is asked.
        where: The file that holds `begun`, for the error.

    Raises:
        ConfigError: If the two differ, or `begun` can't be read; the message names what differs.
    """
    try:
        earlier, now = _items(json.loads(begun)), _items(request)
    except (ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{where} is damaged, so the run can't be resumed: start again with --overwrite"
        ) from error
    if differing := sorted({name for name, _ in earlier ^ now}):
        raise ConfigError(
            f"{where} belongs to a run with other options or data ({', '.join(differing)} differ): "
            "resume with the same, or start again with --overwrite"
        )


def _items(request: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return the entries of a request as names, such as ``config.epochs``, with their values in JSON."""
    return {
        (f"{part}.{name}", json.dumps(value, sort_keys=True))
        for part, values in request.items()
        for name, value in values.items()
    }
