"""Result files and folders that are whole or absent, whatever happens while they are written."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mixkd.errors import MkdError, OutputError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_SPACE_WORDS = (
    "No space left",  # safetensors, tokenizers
    "StorageFull",
    "code: 28",
    "os error 28",
    "File too large",
    "Not enough disk space",  # datasets
    "basic_ios::clear",  # torch.save, at the end of the file
    "inline_container.cc",  # torch.save: "unexpected pos 576 vs 534"
    "requested and",  # numpy: "1000000 requested and 131056 written"
)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NAME_BYTES = 200  # of a file's name in a temporary one's: file systems allow 255 in all
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before any work is done, an output folder that can't or mustn't be written.

    Args:
        folder: Where the result will stand.
        overwrite: Whether what stands there may be replaced. The current folder, the home folder,
            those around them and the top of a git checkout never are.

    Raises:
        OutputError: If the folder may not be used.
    """
    folder = folder.expanduser().absolute()
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is a file or a link: name a folder with --output")
    if folder.exists():
        if folder.resolve() in {*_around(_home()), *_around(Path.cwd())} or (folder / ".git").exists():
            raise OutputError(f"{folder} is never overwritten: name another folder with --output")
        if any(folder.iterdir()) and not overwrite:
            raise OutputError(f"{folder} already holds something: give --overwrite to replace it all")
    parent = next(p for p in folder.parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(f"{parent} can't be written: name another folder with --output")


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
    if path.is_dir() and not path.is_symlink():
        raise OutputError(f"{path} is a folder: name a file")
    with clear_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(_temporary_name(path.name))
        try:
            with os.fdopen(os.open(temporary, _NEW_FILE, 0o666), "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush(path.parent)


def _temporary_name(name: str) -> str:
    start = name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "ignore")
    return f".{start}.mkd-{secrets.token_hex(4)}.partial"


@contextmanager
def fresh_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling that takes the folder's place when the block ends without an error.

    Every file is flushed to disk before the rename, so that a crash or a kill at any moment leaves what was
    there before, or nothing.

    Raises:
        OutputError: If the folder may not be used (see `check_output`) or the disk is full.
    """
    check_output(folder, overwrite=overwrite)
    folder = folder.expanduser().absolute()
    with clear_write_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        with clear_write_errors(folder):
            yield temporary
            put_in_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
        OutputError: If the folder may not be used, or an interrupted run stands there and neither `resume`
            nor `overwrite` says what to do with it.
    """
    check_output(folder, overwrite=overwrite)
    folder, work = folder.expanduser().absolute(), work_folder(folder)
    interrupted = work.is_dir() and any(work.glob(keep))
    if interrupted and not (resume or overwrite):
        raise OutputError(f"{work} holds an interrupted run: --resume goes on, --overwrite starts anew")
    if not (resume and interrupted):
        shutil.rmtree(work, ignore_errors=True)
    try:
        with clear_write_errors(folder):
            work.mkdir(parents=True, exist_ok=True)
            yield work
            put_in_place(work / "result", folder)
        shutil.rmtree(work)
    finally:
        if work.is_dir() and not any(work.glob(keep)):
            shutil.rmtree(work, ignore_errors=True)


def put_in_place(temporary: Path, folder: Path) -> None:
    """Flush every file of `temporary` and rename it to `folder`, replacing what stands there."""
    temporary.chmod(0o755)
    for path in [*temporary.rglob("*"), temporary]:
        flush(path)
    if folder.exists():
        retired = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
        folder.rename(retired / folder.name)
        temporary.rename(folder)
        shutil.rmtree(retired, ignore_errors=True)
    else:
        temporary.rename(folder)
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


def flush(path: Path) -> None:
    """Have the file's or folder's content on the disk before returning."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
