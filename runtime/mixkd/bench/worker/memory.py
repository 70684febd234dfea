"""This process's memory; read before and after timed blocks, never inside.

Linux shows the peak (VmHWM) and PSS in /proc only, so all figures are read there. Other systems show what
psutil knows. On Linux it isn't imported here: its own 2.4 MB would be counted in every figure.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from mixkd.bench.decode import Count

_STATUS = Path("/proc/self/status")
_ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """One reading; None where this kernel doesn't tell.

    Attributes:
        rss_bytes: Resident now, shared pages included.
        peak_rss_bytes: The most that was ever resident (VmHWM).
        pss_bytes: Resident, each shared page divided by its sharers.
        uss_bytes: Resident and nobody else's: what ending the process frees.
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
