"""A control group with a memory and a processor cap: v2 where the system has it, else v1, else none."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 5000
"""A short period: with the usual 100 ms a quota lets most calls through whole and stops a few for long."""


@dataclass(frozen=True, slots=True)
class CappedGroup:
    """A group that processes can join.

    Attributes:
        means: ``cgroup v2`` or ``cgroup v1``.
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


def make_group(memory_bytes: int, cores: int, *, root: Path = _ROOT) -> CappedGroup | None:
    """Make a group with the caps.

    Args:
        memory_bytes: The most that its processes may hold together, swap excluded.
        cores: Processors' worth of time.
        root: Where the hierarchies are mounted.

    Returns:
        None where this user may make no group, or the system has no memory controller.
    """
    try:
        return _make_v2(root, memory_bytes, cores) or _make_v1(root, memory_bytes, cores)
    except OSError:
        return None


def _make_v2(root: Path, memory_bytes: int, cores: int) -> CappedGroup | None:
    controllers = root / "cgroup.subtree_control"
    if not controllers.is_file() or "memory" not in controllers.read_text(encoding="ascii").split():
        return None
    folder = _folder(root)
    _write(folder / "memory.max", memory_bytes)
    _write(folder / "memory.swap.max", 0)
    _write(folder / "cpu.max", f"{cores * _PERIOD_US} {_PERIOD_US}")
    return CappedGroup("cgroup v2", (folder,))


def _make_v1(root: Path, memory_bytes: int, cores: int) -> CappedGroup | None:
    if not (root / "memory" / "memory.limit_in_bytes").is_file():
        return None
    folder = _folder(root / "memory")
    _write(folder / "memory.limit_in_bytes", memory_bytes)
    _write(folder / "memory.memsw.limit_in_bytes", memory_bytes)
    folders = [folder]
    if (root / "cpu" / "cpu.cfs_quota_us").is_file() or (root / "cpu" / "cgroup.procs").is_file():
        folders.append(_folder(root / "cpu"))
        _write(folders[1] / "cpu.cfs_period_us", _PERIOD_US)
        _write(folders[1] / "cpu.cfs_quota_us", cores * _PERIOD_US)
    return CappedGroup("cgroup v1", tuple(folders))


def _folder(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"mkd-bench-{os.getpid()}-", dir=parent))


def _write(path: Path, value: int | str) -> None:
    # Swap and processor files are absent where the kernel was built without them: the memory cap must hold.
    if path.name in ("memory.max", "memory.limit_in_bytes") or path.exists():
        path.write_text(f"{value}\n", encoding="ascii")
