"""What the processor's energy counters tell, where a machine has them and lets a user read them."""

from pathlib import Path

_POWERCAP = Path("/sys/class/powercap")


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
