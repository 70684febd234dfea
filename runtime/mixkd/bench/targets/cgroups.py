"""A control group with a memory and a processor cap: v2 where the system has it, else v1, else none."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_V2, _V1 = "cgroup v2", "cgroup v1"
_PERIOD_US = 5000
"""The period of the processor quota. The kernel's default of 100 ms is longer than most calls: many would run
at full speed and a few would be stopped for the rest of the period."""


@dataclass(frozen=True, slots=True)
class CappedGroup:
    """A group that processes can join.

    Attributes:
        means: As `find_means` names it.
        folders: One per hierarchy.
    """

    means: str
    folders: tuple[Path, ...]

    @property
    def joining(self) -> list[Path]:
        """The files that a process writes its id to."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def remove(self) -> None:
        """Remove the group; its processes have ended."""
        for folder in self.folders:
            try:
                folder.rmdir()
            except OSError:
                continue  # a process that is only just ending: an empty group costs nothing


def find_means(root: Path = _ROOT) -> str | None:
    """Return ``cgroup v2`` or ``cgroup v1`` where this user may make a group with a memory cap, else None.

    Args:
        root: Where the hierarchies are mounted.
    """
    memory = root / "memory"
    if "memory" in _words(root / "cgroup.subtree_control"):
        return _V2 if os.access(root, os.W_OK) else None
    if (memory / "memory.limit_in_bytes").is_file() and os.access(memory, os.W_OK):
        return _V1
    return None


def make_group(memory_bytes: int, cores: int, *, root: Path = _ROOT) -> CappedGroup | None:
    """Make a group with the caps.

    Args:
        memory_bytes: The most that its processes may hold together, swap excluded.
        cores: Processors' worth of time.
        root: Where the hierarchies are mounted.

    Returns:
        None where this user may make no group, or the system has no memory controller.
    """
    makers = {_V2: _make_v2, _V1: _make_v1}
    means = find_means(root)
    try:
        return makers[means](root, memory_bytes, cores) if means else None
    except OSError:
        return None


def _make_v2(root: Path, memory_bytes: int, cores: int) -> CappedGroup:
    group = CappedGroup(_V2, (_folder(root),))
    with _removed_if_it_fails(group):
        _write(group.folders[0] / "memory.max", memory_bytes)
        _write(group.folders[0] / "memory.swap.max", 0)
        _write(group.folders[0] / "cpu.max", f"{cores * _PERIOD_US} {_PERIOD_US}")
    return group


def _make_v1(root: Path, memory_bytes: int, cores: int) -> CappedGroup:
    parents = [root / "memory", *([root / "cpu"] if (root / "cpu" / "cgroup.procs").is_file() else [])]
    group = CappedGroup(_V1, tuple(map(_folder, parents)))
    with _removed_if_it_fails(group):
        _write(group.folders[0] / "memory.limit_in_bytes", memory_bytes)
        _write(group.folders[0] / "memory.memsw.limit_in_bytes", memory_bytes)
        for folder in group.folders[1:]:
            _write(folder / "cpu.cfs_period_us", _PERIOD_US)
            _write(folder / "cpu.cfs_quota_us", cores * _PERIOD_US)
    return group


@contextmanager
def _removed_if_it_fails(group: CappedGroup) -> Iterator[None]:
    try:
        yield
    except OSError:
        group.remove()
        raise


def _folder(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"mkd-bench-{os.getpid()}-", dir=parent))


def _write(path: Path, value: int | str) -> None:
    # Swap and processor files are absent where the kernel was built without them: the memory cap must hold.
    if path.name in ("memory.max", "memory.limit_in_bytes") or path.exists():
        path.write_text(f"{value}\n", encoding="ascii")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
