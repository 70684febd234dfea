"""A device's memory and cores as caps on this machine.

A process that stays within the memory cap here fits the device's memory, apart from the size of the device's
own libraries. The core cap doesn't make a core slower: latency under it is this processor's.
"""

import shutil
import sys
from dataclasses import dataclass, field
from types import TracebackType

import psutil

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.base import WORKER_MODULE, Launch, last_words, worker_environment
from mixkd.bench.targets.cgroups import CappedGroup, make_group
from mixkd.bench.variants import Variant
from mixkd.errors import ConfigError, MeasureError

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Profile:
    """A device's limits.

    Attributes:
        memory_bytes: What a program may take; the rest is left to the device's system.
        cores: Its cores.
        note: The device.
    """

    memory_bytes: int
    cores: int
    note: str


PROFILES = {
    "pi-zero-2w": Profile(384 * _MIB, 4, "Raspberry Pi Zero 2 W: 512 MB, four Cortex-A53"),
    "pi-4": Profile(1536 * _MIB, 4, "Raspberry Pi 4, the 2 GB one: four Cortex-A72"),
    "pi-5": Profile(3584 * _MIB, 4, "Raspberry Pi 5, the 4 GB one: four Cortex-A76"),
    "server-512mb": Profile(448 * _MIB, 1, "the smallest rented server: one virtual core, 512 MB"),
    "android-low": Profile(256 * _MIB, 4, "a low-end Android phone: 256 MB for one app"),
}
"""The caps leave a quarter or an eighth of the memory to the system. These shares and that of an Android app
are assumptions: measure on the device before you rely on them."""


@dataclass(slots=True)
class ProfileTarget:
    """One profile, or one cap on memory.

    Attributes:
        name: As `--target` takes it.
        profile: The limits.
    """

    name: str
    profile: Profile
    _groups: list[CappedGroup] = field(default_factory=list, init=False)

    evidence = Evidence.CAPPED_HOST

    @classmethod
    def named(cls, name: str) -> "ProfileTarget":
        """Return the target of a profile's name.

        Raises:
            ConfigError: If there is no such profile.
        """
        if name not in PROFILES:
            raise ConfigError(f"there is no profile {name!r}: give one of {', '.join(PROFILES)}")
        return cls(f"profile:{name}", PROFILES[name])

    @property
    def means(self) -> str:
        """What caps the memory: ``cgroup v2``, ``cgroup v1`` or ``rlimit``."""
        return self._groups[0].means if self._groups else "rlimit"

    def missing(self) -> str | None:
        """Return what it needs first, or None where it can run."""
        return None if sys.platform == "linux" else "Linux, which enforces the cap"

    def __enter__(self) -> "ProfileTarget":
        missing = self.missing()
        if missing:
            raise MeasureError(f"{self.name} needs {missing}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for group in self._groups:
            group.remove()
        self._groups.clear()

    def prepare(self, variant: Variant) -> Variant:
        """Return the variant itself: it runs on this machine."""
        return variant

    def launch(self, threads: int) -> Launch:
        """Return a shell that caps itself and becomes the worker; each worker has a cap of its own."""
        group = make_group(self.profile.memory_bytes, self.profile.cores)
        if group:
            self._groups.append(group)
            cap = " && ".join(f"echo $$ > '{path}'" for path in group.joining)
        else:
            # Without a cgroup: the data segment, which counts anonymous mappings. RLIMIT_AS would count whole
            # libraries, and address space that onnxruntime reserves and never uses.
            cap = f"ulimit -d {self.profile.memory_bytes // 1024}"
        worker = [*self._pinned(), sys.executable, "-m", WORKER_MODULE]
        return Launch(["/bin/sh", "-c", f'{cap} && exec "$@"', "sh", *worker], worker_environment(threads))

    def explain(self, said: str, code: int) -> str:
        """Return whether the cap ended it."""
        if code in (-9, 137) or "MemoryError" in said or "bad_alloc" in said or "BFCArena" in said:
            return f"out of memory under the cap of {self.profile.memory_bytes / 1e6:.0f} MB ({self.means})"
        return last_words(said, code)

    def _pinned(self) -> list[str]:
        if not shutil.which("taskset"):
            return []
        cores = sorted(psutil.Process().cpu_affinity())[: self.profile.cores]
        return ["taskset", "-c", ",".join(map(str, cores))]
