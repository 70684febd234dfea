"""Cold starts: from asking for a process to its first answer, with files in the page cache and without."""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.report.figures import ColdStart
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.variants import Variant
from mixkd.runtime.encoding import Text


def measure_cold_start(variant: Variant, first: Text, *, threads: int, repeats: int) -> ColdStart:
    """Start, load and answer once, in new processes on this machine.

    No other process may hold the engine's files meanwhile: mapped pages stay in the page cache. Where the
    system can't drop files from it, only warm starts are measured.
    """
    _start(variant, first, threads)  # everything into the cache
    warm = [_start(variant, first, threads)[0] for _ in range(repeats)]
    evicted, read_bytes = [], []
    for _ in range(repeats if _can_evict() else 0):
        files = _start(variant, first, threads)[1]
        for path in files:
            _evict(path)
        milliseconds, _, read = _start(variant, first, threads)
        if read:
            evicted.append(milliseconds)
            read_bytes.append(read)
    return ColdStart(warm_ms=tuple(warm), evicted_ms=tuple(evicted), read_bytes=tuple(read_bytes))


def _start(variant: Variant, first: Text, threads: int) -> tuple[float, list[Path], int]:
    """Return milliseconds from the start to the first answer, the files the process used, bytes read."""
    began = time.perf_counter_ns()
    with WorkerProcess(variant, LocalTarget(), threads=threads) as worker:
        worker.load(first)
        milliseconds = (time.perf_counter_ns() - began) / 1e6
        if not _can_evict():
            return milliseconds, [], 0
        process = psutil.Process(worker.pid)
        mapped = [Path(entry.path) for entry in process.memory_maps() if entry.path.startswith("/")]
        return milliseconds, [*mapped, *variant.weight_files()], process.io_counters().read_bytes


def _can_evict() -> bool:
    """Return whether this system drops files from its page cache, and shows which a process has mapped."""
    return (
        hasattr(os, "posix_fadvise")
        and hasattr(psutil.Process, "memory_maps")
        and hasattr(psutil.Process, "io_counters")
    )


def _evict(path: Path) -> None:
    with suppress(OSError):  # a file that is gone or can't be read needs no eviction
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
