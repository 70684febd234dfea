"""The smallest memory cap under which a variant still runs, found by bisection."""

from dataclasses import replace

from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.targets.profiles import ProfileTarget
from mixkd.bench.variants import Variant
from mixkd.errors import MeasureError
from mixkd.runtime.encoding import Text

_STEP_BYTES = 4 * 2**20
"""How closely the cap is found: every halving of the step costs one more start of a worker."""

_LEAST_BYTES = 8 * 2**20
"""A cap that no worker survives: Python alone takes more."""


def smallest_cap(variant: Variant, target: ProfileTarget, text: Text, *, threads: int) -> int:
    """Return the least cap, to 4 MiB, under which a fresh worker loads and answers.

    Args:
        variant: What to load; it runs under the target's own cap.
        target: The target whose cap is lowered.
        text: What is answered.
        threads: Threads per call.
    """
    low, high = _LEAST_BYTES, target.profile.memory_bytes
    while high - low > _STEP_BYTES:
        middle = (low + high) // 2 // _STEP_BYTES * _STEP_BYTES
        if middle <= low:
            break
        if _survives(variant, target, middle, text, threads):
            high = middle
        else:
            low = middle
    return high


def _survives(variant: Variant, target: ProfileTarget, cap_bytes: int, text: Text, threads: int) -> bool:
    capped = ProfileTarget(target.name, replace(target.profile, memory_bytes=cap_bytes))
    try:
        with capped, WorkerProcess(variant, capped, threads=threads) as worker:
            worker.load(text)
            worker.warm([text])
    except MeasureError:
        return False
    return True
