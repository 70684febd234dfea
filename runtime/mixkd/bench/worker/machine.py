"""What the whole machine has counted so far, for the noise guard; read by a process that isn't measured."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mixkd.bench.decode import Amount, Count, Positive

_CPU = Path("/sys/devices/system/cpu")
_GUESTS = ("guest", "guest_nice")
"""Linux counts the time of virtual machines in `user` and `nice` already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Counters at one moment, in seconds since boot where not said otherwise.

    Attributes:
        busy_s: Processor time of all processes.
        steal_s: Time that the hypervisor took away.
        total_s: Processor time that passed, idle included.
        own_s: Processor time of the measured processes and those that they started.
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


def read_counters(pids: Sequence[int]) -> Reading:
    """Read the counters.

    Args:
        pids: The measured processes.
    """
    times = {name: value for name, value in psutil.cpu_times()._asdict().items() if name not in _GUESTS}
    steal, waiting = times.get("steal", 0.0), times["idle"] + times.get("iowait", 0.0)
    return Reading(
        busy_s=sum(times.values()) - waiting - steal,
        steal_s=steal,
        total_s=sum(times.values()),
        own_s=sum(_tree_seconds(pid) for pid in pids),
        throttles=sum(_number(p) for p in _CPU.glob("cpu*/thermal_throttle/core_throttle_count")),
        temperature_c=_hottest(),
        cores=psutil.cpu_count() or 1,
        load_average=psutil.getloadavg()[0],
    )


def _tree_seconds(pid: int) -> float:
    """Return the processor time of a process, of those it started, and of those of them that ended."""
    seconds = 0.0
    with suppress(psutil.Error):  # a process that is gone counts no longer
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def _hottest() -> float | None:
    if not hasattr(psutil, "sensors_temperatures"):  # macOS and Windows
        return None
    sensors = [sensor.current for group in psutil.sensors_temperatures().values() for sensor in group]
    return max(sensors, default=None)


def _number(path: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return 0
