"""The noise guard: what else the machine did while latency was taken, and whether that spoils it."""

import os
from dataclasses import dataclass
from pathlib import Path

from mixkd.bench.decode import Amount, Count, Positive
from mixkd.bench.report.figures import Noise

_STAT = Path("/proc/stat")
_CPU = Path("/sys/devices/system/cpu")
_THERMAL = Path("/sys/class/thermal")
_TICKS_PER_SECOND = 100.0

OTHERS_SHARE = 0.10
"""Of one processor's time, used by other processes: above it a run is marked noisy."""

STEAL_SHARE = 0.02
"""Of the machine's time, taken by the hypervisor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Counters at one moment, in seconds since boot where not said otherwise.

    Attributes:
        busy_s: Processor time of all processes.
        steal_s: Time that the hypervisor took away.
        total_s: Processor time that passed, idle included.
        own_s: Processor time of the measured processes.
        throttles: Times that a core was slowed because of heat.
        temperature_c: The hottest sensor; None where there is none.
        cores: Processors of the machine.
        load_average: Runnable processes over the last minute.
    """

    busy_s: Amount
    steal_s: Amount
    total_s: Amount
    own_s: Amount
    throttles: Count
    temperature_c: float | None
    cores: Positive
    load_average: Amount


def read_counters(pids: list[int]) -> Reading | None:
    """Read the counters; None on a system without /proc/stat."""
    try:
        fields = [int(word) / _TICKS_PER_SECOND for word in _STAT.read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return Reading(
        busy_s=user + nice + system + irq + softirq,
        steal_s=steal,
        total_s=sum(fields),
        own_s=sum(_process_seconds(pid) for pid in pids),
        throttles=sum(_number(p) or 0 for p in _CPU.glob("cpu*/thermal_throttle/core_throttle_count")),
        temperature_c=max(
            (value / 1000 for p in _THERMAL.glob("thermal_zone*/temp") if (value := _number(p))), default=None
        ),
        cores=os.cpu_count() or 1,
        load_average=os.getloadavg()[0],
    )


def compare_readings(before: Reading | None, after: Reading | None, *, governor: str | None) -> Noise | None:
    """Judge the time between two readings."""
    if before is None or after is None:
        return None
    # No two readings are closer than a tick, whatever a device says.
    wall_s = max((after.total_s - before.total_s) / after.cores, 1 / _TICKS_PER_SECOND)
    others = max(0.0, (after.busy_s - before.busy_s) - (after.own_s - before.own_s)) / wall_s
    steal = (after.steal_s - before.steal_s) / (wall_s * after.cores)
    throttles = after.throttles - before.throttles
    warnings = []
    if others > OTHERS_SHARE:
        warnings.append(f"other processes kept {others:.2f} cores busy")
    if steal > STEAL_SHARE:
        warnings.append(f"the hypervisor took {steal:.1%} of the time")
    if throttles:
        warnings.append(f"heat slowed a core {throttles} times")
    if governor == "powersave":
        warnings.append("the frequency governor is powersave")
    return Noise(
        others_cores=others,
        steal_share=steal,
        throttles=throttles,
        temperature_c=after.temperature_c,
        load_average=after.load_average,
        warnings=tuple(warnings),
    )


def _process_seconds(pid: int) -> float:
    try:
        # The name may hold spaces and brackets; the numbers begin behind its last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
