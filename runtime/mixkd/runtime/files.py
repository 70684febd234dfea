"""The files of a bundle, each opened once: what is hashed is what is used."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mixkd.errors import BundleError

if TYPE_CHECKING:
    import hashlib

_HASHED_AT_ONCE = 2**16
_SETTLED_NS = 20_000_000
"""The age from which on a file's times tell a later change: kernels count in steps of up to 10 ms."""

_FLAGS = os.O_RDONLY
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # a system has some of them
    _FLAGS |= getattr(os, _name, 0)


class OpenFile:
    """A regular file, opened once and never through a link.

    Attributes:
        path: Where it stands.
        size: Its size in bytes when it was opened.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            BundleError: If there is none, or if it is a link, a folder or a device.
        """
        self.path = path
        try:
            if path.is_symlink():  # where the system has no O_NOFOLLOW
                raise BundleError(f"{path} is a link: a bundle holds its files itself")
            self._descriptor = os.open(path, _FLAGS)
        except FileNotFoundError as error:
            raise BundleError(f"{path} is missing: copy or export the bundle again") from error
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from error
        try:
            self._seen = self._settled()
            if not stat.S_ISREG(self._seen.st_mode):
                raise BundleError(f"{path} is no regular file: copy or export the bundle again")
        except BaseException:
            self.close()
            raise
        self.size = self._seen.st_size
        self._digest: str | None = None

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; it can't be read any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def for_native_code(self) -> str | None:
        """Return a path to just this opened file, whatever stands at its own path; None where there is none.

        Linux has one for each descriptor. Elsewhere the content must be read and handed over.
        """
        path = f"/proc/self/fd/{self._descriptor}"
        try:
            there, here = os.stat(path), self._seen  # noqa: PTH116  # not a path to be joined or resolved
        except OSError:
            return None
        return path if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) else None

    def read(self) -> bytes:
        """Return the whole content, as many bytes as `size` says.

        Raises:
            BundleError: If it can't be read, or has another size by now.
        """
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            with open(self._descriptor, "rb", buffering=0, closefd=False) as file:
                content = file.read(self.size + 1)
        except OSError as error:
            raise BundleError(f"{self.path} can't be read: {error.strerror or error}") from error
        if content is None or len(content) != self.size:
            raise self.changed()
        return content

    def sha256(self, *, lean: bool = False) -> str:
        """Return the content's sha256; `lean` as in `new_sha256`."""
        digest, buffer = new_sha256(lean=lean), memoryview(bytearray(_HASHED_AT_ONCE))
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            with open(self._descriptor, "rb", buffering=0, closefd=False) as file:
                while size := file.readinto(buffer):
                    digest.update(buffer[:size])
        except OSError as error:
            raise BundleError(f"{self.path} can't be read: {error.strerror or error}") from error
        self._digest = digest.hexdigest()
        return self._digest

    def is_unchanged(self) -> bool:
        """Tell whether nobody wrote to the file since it was opened, as far as its times tell."""
        seen, now = self._seen, os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (seen.st_size, seen.st_mtime_ns):
            return False
        if now.st_nlink < seen.st_nlink:
            # Another file took its name, which moves the time of its state, but not what it holds.
            return self._digest is None or self.sha256() == self._digest
        return now.st_ctime_ns == seen.st_ctime_ns

    def stands_at_its_path(self) -> bool:
        """Tell whether the path still leads to this file, and not to one that took its place."""
        try:
            there = self.path.lstat()
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (self._seen.st_dev, self._seen.st_ino)

    def changed(self) -> BundleError:
        """Return the error of a file that changed while it was used."""
        return BundleError(f"{self.path} was changed while it was being loaded: load the bundle again")

    def _settled(self) -> os.stat_result:
        # A change so shortly after another might not move the times: wait until one would.
        found = os.fstat(self._descriptor)
        if 0 <= time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < _SETTLED_NS:
            time.sleep(_SETTLED_NS / 1e9)
            found = os.fstat(self._descriptor)
        return found


def check_listing(folder: Path, names: Iterable[str], *, ignored: Callable[[str], bool]) -> None:
    """Refuse a folder that holds anything but these files: no other file or folder, no link.

    Args:
        folder: The folder.
        names: The files that may stand there, relative to it, with slashes.
        ignored: Tells which other names may stand there, as regular files.

    Raises:
        BundleError: If there is more.
    """
    files = set(names)
    folders = {name[:end] for name in files for end, sign in enumerate(name) if sign == "/"}
    for name, entry in _entries(folder, folders):
        if entry.is_symlink():
            raise BundleError(f"{folder / name} is a link: a bundle holds its files itself")
        known = name in files or ignored(name)
        if known and not entry.is_file(follow_symlinks=False):
            raise BundleError(f"{folder / name} is no regular file: copy or export the bundle again")
        if not known and name not in folders:
            raise BundleError(
                f"{folder / name} doesn't belong to the bundle (its manifest doesn't list it): "
                "move it out of the folder, or export the bundle again"
            )


def _entries(folder: Path, folders: Iterable[str]) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    for inner in ("", *sorted(folders)):
        try:
            with os.scandir(folder / inner) as found:
                entries = list(found)
        except FileNotFoundError:
            continue  # its files are missing, which says more
        except OSError as error:
            raise BundleError(f"{folder / inner} can't be read: {error.strerror or error}") from error
        for entry in entries:
            yield (f"{inner}/{entry.name}" if inner else entry.name), entry


def new_sha256(*, lean: bool) -> "hashlib._Hash":
    """Return an empty sha256; `lean` does without OpenSSL, which takes 4 MB: a quarter as fast."""
    if lean:
        # Python's own, the one that hashlib falls back on; 3.12 renamed its module.
        for name in ("_sha2", "_sha256"):
            try:
                return import_module(name).sha256()  # type: ignore[no-any-return]
            except ImportError:
                continue
    import hashlib  # 4 MB, for OpenSSL comes with it

    return hashlib.sha256()
