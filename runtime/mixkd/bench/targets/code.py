"""The part of mixkd that a worker needs, to be taken elsewhere: the runtime's modules, no data."""

from pathlib import Path

_MIXKD = Path(__file__).parents[2]
_ROOMS = ("runtime", "bench", "corpus")


def worker_code() -> dict[str, Path]:
    """Return the modules that a worker may import, by their name below a folder of the module path."""
    paths = [*_MIXKD.glob("*.py"), *(path for room in _ROOMS for path in (_MIXKD / room).rglob("*.py"))]
    return {f"mixkd/{path.relative_to(_MIXKD).as_posix()}": path for path in paths}
