"""Which folders mkd wrote, and whether they hold anything else: only such a folder is ever replaced.

Every result folder holds a list of its files: a bundle its manifest, `mkd.json`, any other the file `.mkd`.
In a work folder, `NAME.partial`, that file says that everything there is mkd's.
"""

import json
import os
from collections.abc import Container, Iterable
from pathlib import Path

from mixkd.temporaries import is_temporary

MARKER_FILE = ".mkd"
_SIGNATURE_FILE = "mkd.json.sig"  # mixkd.runtime.manifest.SIGNATURE_FILE
_MANIFEST_FILE = "mkd.json"  # mixkd.runtime.manifest.MANIFEST_FILE; a test holds them equal
_FORMAT = 1
_EVERYTHING: Container[str] = frozenset({"*"})
_MAX_BYTES = 64 * 1024 * 1024


def mark(folder: Path, files: Iterable[str] | None) -> None:
    """Write down which files mkd writes in a folder.

    Args:
        folder: The folder.
        files: Their names, parts of a path joined by "/"; None means everything, in a work folder.
    """
    names = None if files is None else sorted({*files} - {MARKER_FILE})
    body = {"about": "the files that mkd wrote in this folder", "format": _FORMAT, "files": names}
    (folder / MARKER_FILE).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def mark_finished(folder: Path) -> None:
    """Write down that mkd wrote all that stands in a folder, where nothing there says so yet."""
    if not is_marked(folder):
        mark(folder, (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()))


def is_marked(folder: Path) -> bool:
    """Return whether mkd wrote this folder."""
    return _listed(folder) is not None


def foreign_entry(folder: Path) -> Path | None:
    """Return something in the folder that mkd didn't write, or None where all of it is mkd's.

    A folder within may be marked itself, as the parts of a quickstart are.
    """
    return _foreign(folder, folder, frozenset())


def _foreign(folder: Path, top: Path, listed: Container[str]) -> Path | None:
    own = _listed(folder)
    if own is _EVERYTHING:
        return None
    if own is not None:
        top, listed = folder, own
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if is_temporary(entry.name) and not entry.is_symlink():
                continue  # of a killed run
            if entry.is_dir(follow_symlinks=False):
                if (found := _foreign(path, top, listed)) is not None:
                    return found
            elif entry.is_symlink() or path.relative_to(top).as_posix() not in listed:
                return path
    return None


def _listed(folder: Path) -> Container[str] | None:
    """Return the names in the folder's list and that of the list itself; None without a readable one."""
    for name in (_MANIFEST_FILE, MARKER_FILE):
        path = folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_BYTES:
            continue
        try:
            files = json.loads(path.read_bytes())["files"]
            if files is None and folder.name.endswith(".partial"):
                return _EVERYTHING
            return frozenset(files) | {name, _SIGNATURE_FILE}
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return None
