"""Result files and folders that are whole or absent, whatever happens while they are written."""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mixkd.errors import MkdError, OutputError
from mixkd.ownership import MARKER_FILE, foreign_entry, is_marked, mark, mark_finished
from mixkd.temporaries import (
    discard,
    flush,
    locked,
    remove_leftovers,
    swap,
    temporary_file,
    temporary_folder,
)

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_SPACE_WORDS = (
    # Libraries report a full disk without its number, as text:
    "No space left",  # safetensors (https://github.com/safetensors/safetensors/issues/842)
    "StorageFull",
    "code: 28",
    "os error 28",  # tokenizers (https://github.com/huggingface/tokenizers/issues/335)
    "File too large",
    "Not enough disk space",  # datasets (https://github.com/huggingface/datasets/issues/2972)
    "basic_ios::clear",  # torch.save, at the end of the file
    "inline_container.cc",  # torch.save (https://github.com/pytorch/pytorch/issues/156955)
    "requested and",  # numpy (https://github.com/numpy/numpy/issues/17589)
)
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before any work is done, an output folder that can't or mustn't be written.

    Args:
        folder: Where the result will stand.
        overwrite: Whether a result of mkd that stands there may be replaced. A folder that holds anything
            else, the current folder, the home folder, those around them and the top of a git checkout never
            are.

    Raises:
        OutputError: If the folder may not be used.
    """
    folder = folder.expanduser().absolute()
    with clear_write_errors(folder):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise OutputError(f"{folder} is a file or a link: name a folder with --output")
        if folder.exists():
            _check_replaceable(folder, overwrite=overwrite)
        parent = next(p for p in folder.parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(f"{parent} can't be written: name another folder with --output")


def _check_replaceable(folder: Path, *, overwrite: bool) -> None:
    if folder.resolve() in {*_around(_home()), *_around(Path.cwd())} or (folder / ".git").exists():
        raise OutputError(f"{folder} is never overwritten: name another folder with --output")
    if not any(folder.iterdir()):
        return
    foreign = foreign_entry(folder)
    if foreign is not None:
        raise OutputError(
            f"{folder} holds {foreign.relative_to(folder)}, which mkd did not write: "
            "name another folder with --output, or move that away"
        )
    if not overwrite:
        raise OutputError(f"{folder} already holds a result: give --overwrite to replace it")


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yield a temporary file beside `path` that takes its place when the block ends without an error.

    The file is UTF-8 and line breaks stay as they are written; bytes go to its `buffer`. Its name is its own,
    so that several writers never meet, and it follows no link; a link at `path` is replaced, not followed.

    Args:
        path: The file to write, or to replace. Its folder is made where there is none.

    Raises:
        OutputError: If the file can't be written or the disk is full.
    """
    with clear_write_errors(path):
        if path.is_dir() and not path.is_symlink():
            raise OutputError(f"{path} is a folder: name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        with temporary_file(path) as (temporary, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":
                file.close()  # an open file can't be renamed there
            temporary.replace(path)
        flush(path.parent)


@contextmanager
def fresh_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling that takes the folder's place when the block ends without an error.

    Every file is flushed to disk before the rename, so that a crash or a kill at any moment leaves what was
    there before, or nothing.

    Raises:
        OutputError: If the folder may not be used (see `check_output`) or the disk is full.
    """
    folder = folder.expanduser().absolute()
    with clear_write_errors(folder):
        remove_leftovers(folder)
        check_output(folder, overwrite=overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as temporary:
            yield temporary
            _put_in_place(temporary, folder, overwrite=overwrite)


def claim_folder(folder: Path, files: Iterable[str], *, overwrite: bool) -> None:
    """Make a folder whose parts are written one by one, or take one that mkd wrote.

    Args:
        folder: The folder; what stands there stays.
        files: The files that will be written in it, but for those of parts that are result folders.
        overwrite: As in `check_output`.

    Raises:
        OutputError: As `check_output`.
    """
    check_output(folder, overwrite=overwrite)
    with clear_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        mark(folder, files)


def work_folder(folder: Path) -> Path:
    """Return where `resumable_folder` does its work, beside the folder."""
    folder = folder.expanduser().absolute()
    return folder.with_name(f"{folder.name}.partial")


@contextmanager
def resumable_folder(folder: Path, *, overwrite: bool, resume: bool, keep: str) -> Iterator[Path]:
    """Yield a work folder beside `folder`; when the block ends its `result` takes the folder's place.

    The work folder, `NAME.partial`, outlives a kill, and an error too where it holds anything matching the
    pattern `keep`; with `resume` the next run gets it back as it was, if there is one.

    Raises:
        OutputError: If the folder may not be used; if the work folder isn't mkd's, or in use by another run;
            or if it holds an interrupted run and neither `resume` nor `overwrite` says what to do with that.
    """
    folder, work = folder.expanduser().absolute(), work_folder(folder)
    with clear_write_errors(folder):
        remove_leftovers(folder)
        check_output(folder, overwrite=overwrite)
        with _held(work):
            interrupted = any(work.glob(keep))
            if interrupted and not (resume or overwrite):
                raise OutputError(
                    f"{work} holds an interrupted run: --resume continues it, --overwrite starts again"
                )
            if not (resume and interrupted):
                _empty(work)
            try:
                yield work
                _put_in_place(work / "result", folder, overwrite=overwrite)
                discard(work, folder)
            finally:
                if work.is_dir() and not any(work.glob(keep)):
                    discard(work, folder)


@contextmanager
def _held(work: Path) -> Iterator[None]:
    """Make the work folder, or take the one that stands there: mkd's, and of no other run."""
    stands = work.is_symlink() or work.exists()
    if stands and (work.is_symlink() or not work.is_dir() or (any(work.iterdir()) and not is_marked(work))):
        raise OutputError(f"{work}, the work folder, was not made by mkd: move it, or name another --output")
    work.mkdir(parents=True, exist_ok=True)
    with locked(work) as free:
        if not free:
            raise OutputError(f"{work} is in use by another run: wait for its end, or name another --output")
        if not is_marked(work):
            mark(work, None)
        yield


def _empty(work: Path) -> None:
    for path in work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER_FILE:
            path.unlink()


def _put_in_place(temporary: Path, folder: Path, *, overwrite: bool) -> None:
    """Mark a finished folder as mkd's, flush every file and move it to `folder`."""
    mark_finished(temporary)
    rights = stat.S_IMODE(temporary.stat().st_mode)  # what the umask leaves
    for path in temporary.rglob("*"):
        if not path.is_symlink():
            path.chmod(rights if path.is_dir() else rights & 0o666)
            flush(path)
    flush(temporary)
    check_output(folder, overwrite=overwrite)  # once more: the work took its time
    if folder.exists():
        swap(temporary, folder)
    else:
        try:
            temporary.rename(folder)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            raise OutputError(f"{folder} was written by another run meanwhile: name another") from error
    flush(folder.parent)


@contextmanager
def clear_write_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden path, in whatever guise a library reports it, into `OutputError`."""
    try:
        yield
    except MkdError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in _NO_SPACE or any(words in str(error) for words in _NO_SPACE_WORDS):
            raise OutputError(
                f"no space left while writing {target}: free some, or name another disk"
            ) from error
        if number == errno.ENAMETOOLONG:
            raise OutputError(f"{target} can't be written: the name is too long") from error
        if number in _NO_ACCESS:
            raise OutputError(f"{target} can't be written: {os.strerror(number or 0)}") from error
        raise


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user may have none
        return Path("/")


def _around(folder: Path) -> list[Path]:
    return [folder.resolve(), *folder.resolve().parents]
