"""Checkpoints that are whole: sealed when all of their files are on disk, checked before one is resumed."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from mixkd.errors import ModelError
from mixkd.outputs import whole_file
from mixkd.temporaries import flush, is_temporary

COMPLETE = "complete"
"""The file that a checkpoint gets last, with the sha256 of the others: without it it is never resumed."""


def seal_checkpoint(folder: Path) -> None:
    """Have every file of a checkpoint on the disk, then write `COMPLETE`."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        flush(path)
        if path.is_file() and not is_temporary(path.name):
            digests[path.relative_to(folder).as_posix()] = _sha256(path)
    with whole_file(folder / COMPLETE) as file:
        file.write(json.dumps(digests, indent=1) + "\n")


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that were written to their end, the newest last."""
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return sorted(complete, key=lambda path: int(path.name.split("-")[1]))


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint; killed meanwhile, it leaves none that counts as complete."""
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def check_checkpoint(folder: Path) -> None:
    """Refuse a checkpoint whose files aren't those that were written.

    transformers reports some damage with errors of many kinds, and goes on without a missing optimizer.

    Raises:
        ModelError: If a file is missing or was changed.
    """
    try:
        digests = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        damaged = [name for name, digest in digests.items() if _sha256(folder / name) != digest]
    except FileNotFoundError as error:
        damaged = [Path(error.filename).name]
    except (OSError, ValueError, AttributeError, RecursionError):
        damaged = [COMPLETE]
    if damaged:
        raise ModelError(
            f"{folder} is damaged ({damaged[0]}): delete it and --resume continues from "
            "an earlier one, or start again with --overwrite"
        )


@contextmanager
def without_code() -> Iterator[None]:
    """Turn what PyTorch raises of a pickle that would run code, and that it therefore doesn't read.

    Raises:
        ModelError: If a checkpoint holds one. `check_checkpoint` doesn't tell: whoever plants it can write
            its sha256 too.
    """
    try:
        yield
    except UnpicklingError as error:
        raise ModelError(
            "the interrupted run holds a pickle that would run code, and no training writes one: start again "
            "with --overwrite"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
