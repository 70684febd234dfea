"""What a bundle costs and loses: latency, memory, size, quality.

>>> from mixkd.bench import bench
>>> report = bench("bundle", "clinc150", teacher="teacher")
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixkd.bench.config import BenchConfig
    from mixkd.bench.report.schema import Report
    from mixkd.bench.run import bench

__all__ = ["BenchConfig", "Report", "bench"]

_MODULES = {"BenchConfig": "config", "Report": "report.schema", "bench": "run"}


def __getattr__(name: str) -> object:
    # Loaded when first asked for: `mkd --help` imports this package, and must not wait for numpy.
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
