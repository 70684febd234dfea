"""This process's memory and the machine's energy counters; read before and after timed blocks, never inside.

Linux shows the peak of memory (VmHWM) and PSS in /proc only, so all of it is read there. Other systems show
what psutil knows. On Linux it isn't imported here: its own 2.4 MB would be counted in every figure.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from mixkd.bench.decode import Count

_STATUS = Path("/proc/self/status")
_ROLLUP = Path("/proc/self/smaps_rollup")
_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """One reading; None where this kernel doesn't tell.

    Attributes:
        rss_bytes: Resident now, shared pages included.
        peak_rss_bytes: The most that was ever resident (VmHWM).
        pss_bytes: Resident, each shared page divided by its sharers.
        uss_bytes: Resident and private: what ending the process frees.
    """

    rss_bytes: Count | None
    peak_rss_bytes: Count | None
    pss_bytes: Count | None = None
    uss_bytes: Count | None = None


def read_memory(*, detailed: bool = False) -> MemoryReading:
    """Read this process's memory; `detailed` walks every mapping for PSS and USS: some milliseconds."""
    status = _fields(_STATUS)
    if not status:
        return _read_without_proc(detailed)
    rollup = _fields(_ROLLUP) if detailed else {}
    private = [rollup[name] for name in ("Private_Clean", "Private_Dirty") if name in rollup]
    return MemoryReading(
        rss_bytes=status.get("VmRSS"),
        peak_rss_bytes=status.get("VmHWM"),
        pss_bytes=rollup.get("Pss"),
        uss_bytes=sum(private) if private else None,
    )


def read_energy_uj(root: Path = _POWERCAP) -> dict[str, tuple[int, int]]:
    """Return each package's counter and the value at which it starts again, in microjoules.

    Args:
        root: The powercap folder. Only whole packages (``intel-rapl:0``) are read: their parts are contained.
    """
    counters = {}
    for zone in sorted(root.glob("intel-rapl:?")):
        try:
            counter = int((zone / "energy_uj").read_text(encoding="ascii"))
            span = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # usually readable by root alone
        counters[zone.name] = (counter, span)
    return counters


def spent_uj(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> int | None:
    """Return the energy between two readings, over all packages; None where nothing could be read."""
    shared = before.keys() & after.keys()
    if not shared:
        return None
    # A counter that fell has started again in between.
    return sum((after[name][0] - before[name][0]) % after[name][1] for name in shared)


def _read_without_proc(detailed: bool) -> MemoryReading:
    import psutil

    process = psutil.Process()
    now = process.memory_info()
    return MemoryReading(
        rss_bytes=now.rss,
        peak_rss_bytes=getattr(now, "peak_wset", None) or _peak_of_usage(),
        uss_bytes=process.memory_full_info().uss if detailed else None,
    )


def _peak_of_usage() -> int | None:
    try:
        import resource
    except ImportError:  # Windows, where psutil has the peak
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _fields(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB":
            fields[name] = int(words[0]) * 1024
    return fields
