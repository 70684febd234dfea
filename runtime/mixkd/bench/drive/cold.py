"""Cold starts: from asking for a process to its first answer, with files in the page cache and without."""

import os
import time
from pathlib import Path

from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.report.figures import ColdStart
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.variants import Variant
from mixkd.runtime.encoding import Text


def measure_cold_start(variant: Variant, first: Text, *, threads: int, repeats: int) -> ColdStart:
    """Start, load and answer once, in new processes on this machine.

    Must run while no other process holds the engine's files: a mapped page isn't dropped.
    """
    _start(variant, first, threads)  # everything into the cache
    warm = [_start(variant, first, threads)[0] for _ in range(repeats)]
    evicted, read_bytes = [], []
    for _ in range(repeats):
        files = _start(variant, first, threads)[1]
        for path in files:
            _evict(path)
        milliseconds, _, read = _start(variant, first, threads)
        if read:
            evicted.append(milliseconds)
            read_bytes.append(read)
    return ColdStart(warm_ms=tuple(warm), evicted_ms=tuple(evicted), read_bytes=tuple(read_bytes))


def _start(variant: Variant, first: Text, threads: int) -> tuple[float, list[Path], int]:
    """Return milliseconds from the fork to the first answer, the files it mapped or read, bytes read."""
    began = time.perf_counter_ns()
    with WorkerProcess(variant, LocalTarget(), threads=threads) as worker:
        worker.load(first)
        milliseconds = (time.perf_counter_ns() - began) / 1e6
        files = [*_mapped_files(worker.pid), *variant.weight_files()]
        return milliseconds, files, _read_bytes(worker.pid)


def _mapped_files(pid: int) -> list[Path]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    names = {line.split(maxsplit=5)[-1] for line in lines}
    return sorted(Path(name) for name in names if name.startswith("/"))


def _read_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes:"))


def _evict(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return  # a file that is gone or not ours needs no eviction
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
