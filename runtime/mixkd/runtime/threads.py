"""How many processors this process may really use."""

import math
import os
from collections.abc import Callable
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
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None  # not Linux, or no proc
    quotas: list[float] = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            quotas += _quotas(root / "sys/fs/cgroup", group, _quota_v2)
        elif "cpu" in controllers.split(","):
            for mount in dict.fromkeys((controllers, "cpu", "cpu,cpuacct")):
                quotas += _quotas(root / "sys/fs/cgroup" / mount, group, _quota_v1)
    return min(quotas, default=None)


def _quotas(mount: Path, group: str, read: Callable[[Path], float | None]) -> list[float]:
    # Inside a container the group's own path may not be visible: then the mount's top is the group.
    folder = mount / group.strip("/")
    found = [read(place) for place in (folder, *folder.parents) if place.is_relative_to(mount)]
    return [quota for quota in found if quota is not None]


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
