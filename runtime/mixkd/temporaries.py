"""Temporary files and folders beside a result: names of their own, locks, what killed runs left, the swap.

A temporary entry of the result ``NAME`` is called ``.NAME.mkd-xxxxxxxx.partial`` and is locked by the process
that writes it. The kernel drops the lock with the process, so one without a lock was left by a killed run.
Where the system can't swap two folders in one step, the old one is ``.NAME.mkd-xxxxxxxx.old`` for a moment.
"""

import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

if sys.platform != "win32":
    import fcntl

_NAME_BYTES = 200  # of the result's name in a temporary one's: file systems allow 255 in all
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def temporary_file(result: Path) -> Iterator[tuple[Path, TextIO]]:
    """Yield a new locked file beside `result`, path first; if it still has that name at the end, it goes."""
    while True:
        path = _temporary(result)
        descriptor = os.open(path, _NEW_FILE, 0o666)  # the kernel takes the umask off
        if _is_ours(descriptor, path):
            break
        os.close(descriptor)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def temporary_folder(result: Path) -> Iterator[Path]:
    """Yield a new locked folder beside `result`; if it still has that name at the end, it goes."""
    while True:
        path = _temporary(result)
        path.mkdir()  # with the rights that the umask leaves
        with suppress(FileNotFoundError):
            descriptor = _open(path)
            if descriptor is None or _is_ours(descriptor, path):
                break
            os.close(descriptor)
    try:
        yield path
    finally:
        if descriptor is not None:
            os.close(descriptor)
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock on a file or folder; yields False where another process holds it.

    Where the file system has no locks, as with some network ones, it yields True all the same.
    """
    descriptor = _open(path)
    try:
        yield descriptor is None or _lock(descriptor) is not False
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_leftovers(result: Path) -> None:
    """Remove the temporary files and folders of `result` that a killed run left.

    Never one of a process that still writes it, a link, or what another user owns. An old result that was
    moved away and not yet replaced is put back.
    """
    if sys.platform == "win32" or not result.parent.is_dir():
        return
    pattern = re.compile(re.escape(_prefix(result)) + r"[0-9a-f]{8}\.(partial|old)")
    with os.scandir(result.parent) as entries:
        found = [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name)]
    for path in found:
        with suppress(OSError):  # gone meanwhile, or not ours to remove
            _clear_unlocked(path, result)


def is_temporary(name: str) -> bool:
    """Return whether a file or folder has the name of a temporary one of any result."""
    return re.fullmatch(r"\..*\.mkd-[0-9a-f]{8}\.(partial|old)", name, re.DOTALL) is not None


def discard(folder: Path, result: Path) -> None:
    """Remove a folder beside `result`; of a run that is killed meanwhile the next one removes the rest."""
    doomed = _temporary(result)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def swap(new: Path, result: Path) -> None:
    """Put the folder `new` in the place of `result`, and `result` in the place of `new`.

    In one step where the system can do that (Linux: `renameat2`), so that a reader always finds one of the
    two; else `result` is absent for a moment.
    """
    if _exchanged(new, result):
        return
    retired = _temporary(result, "old")
    with locked(result):
        result.rename(retired)
        new.rename(result)
        retired.rename(new)


def flush(path: Path) -> None:
    """Have the file's or folder's content on the disk before returning."""
    if os.name == "nt" and path.is_dir():
        return  # Windows can't
    descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prefix(result: Path) -> str:
    start = os.fsencode(result.name)[:_NAME_BYTES].decode("utf-8", "ignore")
    return f".{start}.mkd-"


def _temporary(result: Path, suffix: str = "partial") -> Path:
    return result.with_name(f"{_prefix(result)}{os.urandom(4).hex()}.{suffix}")


def _open(path: Path) -> int | None:
    """Return a descriptor of a file or folder, None on Windows, which has none of folders."""
    return None if sys.platform == "win32" else os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def _lock(descriptor: int) -> bool | None:
    """Take the lock: False where another process has it, None where there are none."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # NFS wants a file that is open for writing
        return None
    return True


def _is_ours(descriptor: int, path: Path) -> bool:
    """Lock what was just made; False where another run took it for a leftover meanwhile."""
    if _lock(descriptor) is False:
        return False
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def _clear_unlocked(path: Path, result: Path) -> None:
    about = path.lstat()
    is_folder = stat.S_ISDIR(about.st_mode)
    if not (is_folder or stat.S_ISREG(about.st_mode)) or about.st_uid != os.geteuid():
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if _lock(descriptor) is True and os.path.samestat(os.fstat(descriptor), about):
            if path.suffix == ".old" and not result.exists():
                path.rename(result)
            elif is_folder:
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        os.close(descriptor)


def _exchanged(one: Path, other: Path) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:  # a C library older than glibc 2.28
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))
