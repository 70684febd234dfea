"""How many processors this process may really use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available_threads(root: Path = Path("/"), *, at_most: int | None = None) -> int:
    """Return the processors this process may use: its affinity, capped by the cgroup's quota, at least 1.

    onnxruntime by itself looks at the host's cores only, so that a container with half a core would get a
    thread for every core of the host.

    Args:
        root: Where `proc` and `sys` stand.
        at_most: A further cap.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    caps = [allowed, math.ceil(quota) if quota is not None else allowed, at_most or allowed]
    return max(1, min(caps))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the processors' worth of time that the cgroup may use, or None where nothing limits it.

    Reads version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`), the group itself and those around it: the
    tightest counts.
    """
    read = {1: _quota_v1, 2: _quota_v2}
    quotas = [read[version](folder) for version, folder in cgroups("cpu", root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def cgroups(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """Yield version and folder of the control groups that hold this process, its own and those around it.

    Args:
        controller: What limits, such as ``cpu`` or ``memory``.
        root: Where `proc` and `sys` stand.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # not Linux, or no proc
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        number, _, rest = line.partition(":")
        names, _, group = rest.partition(":")
        if number == "0" and not names:
            yield from ((2, folder) for folder in _around(mounted, group))
        elif controller in names.split(","):
            for mount in dict.fromkeys((names, controller, ",".join(sorted(names.split(","))))):
                yield from ((1, folder) for folder in _around(mounted / mount, group))


def _around(mount: Path, group: str) -> Iterator[Path]:
    # Inside a container the group's own path may not be visible: then the mount's top is the group.
    folder = mount / group.strip("/")
    return (place for place in (folder, *folder.parents) if place.is_relative_to(mount))


def _quota_v2(folder: Path) -> float | None:
    return _share(*_words(folder / "cpu.max", 2))


def _quota_v1(folder: Path) -> float | None:
    return _share(*_words(folder / "cpu.cfs_quota_us", 1), *_words(folder / "cpu.cfs_period_us", 1))


def _words(path: Path, count: int) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()[:count]
    except OSError:
        return []


def _share(*words: str) -> float | None:
    # Without a limit the quota is "max" (version 2) or -1 (version 1).
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])
