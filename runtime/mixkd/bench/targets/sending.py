"""Files of this machine as one tar stream to a child process."""

import os
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from mixkd.bench.targets.pipes import Child
from mixkd.errors import MeasureError

_BUFFER_BYTES = 2**20


def send_files(files: Mapping[str, Path], child: Child, *, follow_links: bool) -> None:
    """Write a tar stream of files to a child's standard input.

    Args:
        files: By their name in the stream.
        child: What unpacks them.
        follow_links: Whether a link is sent as the file that it names. Never for a bundle's files: a
            stranger's bundle may link to any file of the user.

    Raises:
        MeasureError: If one of them isn't a plain file, or can't be read.
        BrokenPipeError: If the child is gone.
        PipeError: If it doesn't take them in time.
    """
    with tarfile.open(fileobj=cast(IO[bytes], child), mode="w|", bufsize=_BUFFER_BYTES) as tar:
        for name, path in files.items():
            with _open_plain(path, follow_links=follow_links) as file:
                info = tarfile.TarInfo(name)
                info.size = os.fstat(file.fileno()).st_size
                tar.addfile(info, file)


def _open_plain(path: Path, *, follow_links: bool) -> IO[bytes]:
    if path.is_symlink() and not follow_links:
        raise MeasureError(f"{path} is a link, and only plain files are sent to a device")
    # Where it is replaced by a link meanwhile, it isn't opened; where it is a pipe, opening doesn't wait.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags if follow_links else flags | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise MeasureError(f"{path} can't be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MeasureError(f"{path} is not a plain file, and only those are sent to a device")
    return os.fdopen(descriptor, "rb")
