"""The noise guard: what else the machine did while latency was taken, and whether that spoils it."""

from mixkd.bench.report.figures import Noise
from mixkd.bench.worker.machine import Reading

OTHERS_SHARE = 0.10
"""Of one processor's time, used by other processes: above it a run is marked noisy. Up to a tenth of the time
can be taken from the measured thread then, which reaches p90."""

STEAL_SHARE = 0.02
"""Of the machine's time, taken by the hypervisor: above it p99 shows the hypervisor, not the variant."""

_LEAST_SECONDS = 0.01
"""No two readings are closer, whatever a device answers: nothing is divided by 0."""


def compare_readings(before: Reading | None, after: Reading | None, *, governor: str | None) -> Noise | None:
    """Judge the time between two readings."""
    if before is None or after is None:
        return None
    wall_s = max((after.total_s - before.total_s) / after.cores, _LEAST_SECONDS)
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
