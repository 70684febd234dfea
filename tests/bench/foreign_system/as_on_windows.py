"""Hides from mixkd's modules what only POSIX has: they see `os`, `signal` and `sys` as on Windows.

Other packages and Python itself go on seeing Linux, or nothing would start. Nobody can fork, though.
"""

import builtins
import os
import re
import resource
import signal
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil

_ABSENT = frozenset({"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog"})
_NOT_IN_OS = re.compile(
    r"fork|forkpty|register_at_fork|get[er]?[ug]id|getres[ug]id|getgroups|set\w*[ug]id|getsid|setsid|\w+pgr?p|getpgid"
    r"|setpgid|nice|[gs]etpriority|PRIO_\w+|sched_\w+|SCHED_\w+|f?statvfs|sysconf\w*|f?pathconf|confstr\w*|uname"
    r"|getloadavg|[fl]?chown|chroot|fchmod|fchdir|mkfifo|mknod|openpty|wait|wait3|wait4|waitid|W[A-Z]+|P_[PA]\w+"
    r"|posix_\w+|POSIX_\w+|O_(NOFOLLOW|DIRECTORY|CLOEXEC|NONBLOCK|SYNC|DSYNC|NOCTTY|PATH|DIRECT|NOATIME)|sync|fdatasync"
    r"|p(read|write)v?|readv|writev|sendfile|lockf|ctermid|ttyname|tc[gs]etpgrp|eventfd\w*|memfd_create|copy_file_range"
    r"|splice|\w*xattr|getrandom|pidfd_open|spawn\w*p\w?|major|minor|makedev|ST_\w+|RTLD_\w+"
)
_SIGNALS = frozenset(["SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"])
_NOT_IN_SIGNAL = re.compile("alarm|[gs]etitimer|pause|siginterrupt|pthread_\\w+|sig\\w*wait\\w*|sigpending")


class _Seen(ModuleType):
    """A module as Windows has it."""

    def __init__(self, real: ModuleType, **other: Any) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, **other)

    def __getattr__(self, name: str) -> Any:
        if _is_hidden(self.__name__, name):
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}' on Windows")
        return getattr(self._real, name)


def _is_hidden(module: str, name: str) -> bool:
    if module == "os":
        return _NOT_IN_OS.fullmatch(name) is not None
    if module == "signal":
        if re.fullmatch(r"SIG[A-Z0-9]+", name):
            return name not in _SIGNALS
        return _NOT_IN_SIGNAL.fullmatch(name) is not None
    return False


_SEEN = {"os": _Seen(os, name="nt"), "signal": _Seen(signal), "sys": _Seen(sys, platform="win32")}
_import = builtins.__import__
_memory = psutil.Process.memory_info


def _import_as_on_windows(name: str, importer: Any = None, *rest: Any, **options: Any) -> Any:
    if importer and str(importer.get("__name__", "")).startswith("mixkd"):
        if name in _ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in _SEEN:
            return _SEEN[name]
    return _import(name, importer, *rest, **options)


def _memory_info(process: psutil.Process) -> SimpleNamespace:
    """Return the fields that psutil has on Windows; the peak of another process is not needed."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return SimpleNamespace(**_memory(process)._asdict(), peak_wset=peak)


def hide() -> None:
    """Begin."""
    vars(builtins)["__import__"] = _import_as_on_windows
    psutil.Process.memory_info = _memory_info
    del os.fork, os.forkpty
