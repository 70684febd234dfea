"""Makes Python see this Linux machine as it would see macOS; found first where PYTHONPATH names its folder.

With MKD_TEST_SYSTEM=windows, mixkd's modules also lack what Windows lacks.

There is no /proc, no /sys and no control group for anybody but psutil, which has other sources on other
systems. What Python and psutil have on Linux only is gone.
"""

import builtins
import importlib
import io
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import psutil

_HIDDEN = ("/proc", "/sys")


def _hiding(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *args: Any, **options: Any) -> Any:
        if isinstance(path, str | os.PathLike) and _is_hidden(os.fspath(path)) and not _psutil_asks():
            raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
        return function(path, *args, **options)

    return call


def _is_hidden(path: str | bytes) -> bool:
    text = os.fsdecode(path)
    return any(text == root or text.startswith(f"{root}/") for root in _HIDDEN)


def _psutil_asks() -> bool:
    frame: FrameType | None = sys._getframe(2)
    while frame:
        if frame.f_globals.get("__name__", "").startswith("psutil"):
            return True
        frame = frame.f_back
    return False


for _module, _names in ((os, ("open", "stat", "lstat", "scandir", "listdir", "readlink")), (io, ("open",))):
    for _name in _names:
        setattr(_module, _name, _hiding(getattr(_module, _name)))
builtins.open = io.open

for _name in ("sched_getaffinity", "sched_setaffinity", "posix_fadvise", "POSIX_FADV_DONTNEED"):
    delattr(os, _name)
for _name in ("cpu_affinity", "io_counters", "memory_maps"):
    delattr(psutil.Process, _name)
del psutil.sensors_temperatures

if os.environ.get("MKD_TEST_SYSTEM") == "windows":
    importlib.import_module("as_on_windows").hide()
