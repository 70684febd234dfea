"""Another processor, emulated by qemu-user: it shows whether the answers are the same, not latency or memory.

Older x86 processors run this machine's Python. aarch64 runs an arm64 Python in a folder that the repository's
`scripts/make_aarch64_root.sh` makes.
"""

import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.base import WORKER_MODULE, Launch, last_words, worker_environment
from mixkd.bench.targets.code import worker_code
from mixkd.bench.variants import OnnxVariant, Variant
from mixkd.errors import ConfigError, MeasureError

AARCH64_ROOT = "MKD_AARCH64_ROOT"
"""Names another root folder of an arm64 system whose `usr/bin/python3` has the runtime's packages."""

_QEMU_INSTALL = "apt-get install qemu-user-static"


def aarch64_root() -> Path:
    """Return the folder of the arm64 system, whether it exists or not."""
    named = os.environ.get(AARCH64_ROOT)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or f"{cache}/mixkd/aarch64").expanduser()


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor that qemu-user can be.

    Attributes:
        emulators: Names of the program; the first that is installed is used.
        cpu: The model, always given to qemu: its default for aarch64 gives wrong int8 numbers.
        note: What it is.
    """

    emulators: tuple[str, ...]
    cpu: str
    note: str


PROCESSORS = {
    "aarch64": Processor(
        ("qemu-aarch64-static", "qemu-aarch64"), "cortex-a72", "64-bit ARM, a Raspberry Pi 4"
    ),
    "haswell": Processor(("qemu-x86_64-static", "qemu-x86_64"), "Haswell", "x86-64 with AVX2, without VNNI"),
    "nehalem": Processor(("qemu-x86_64-static", "qemu-x86_64"), "Nehalem", "x86-64 with SSE4.2 alone"),
}


@dataclass(slots=True)
class EmulatedTarget:
    """One processor of `PROCESSORS`.

    Attributes:
        name: As `--target` takes it.
        processor: The processor.
    """

    name: str
    processor: Processor
    _code: Path = field(default=Path(), init=False)

    evidence = Evidence.EMULATED

    @classmethod
    def named(cls, name: str) -> "EmulatedTarget":
        """Return the target of a processor's name.

        Raises:
            ConfigError: If there is no such processor.
        """
        if name not in PROCESSORS:
            raise ConfigError(f"there is no processor {name!r} to emulate: give {', '.join(PROCESSORS)}")
        return cls(f"emulate:{name}", PROCESSORS[name])

    def missing(self) -> str | None:
        """Return what to install for it, or None where it can run."""
        if not any(map(shutil.which, self.processor.emulators)):
            return _QEMU_INSTALL
        if self._foreign:
            if not (aarch64_root() / "usr/bin/python3").exists():
                return f"an arm64 Python in {aarch64_root()}: scripts/make_aarch64_root.sh makes it"
        elif platform.machine() != "x86_64":
            return "an x86-64 machine"
        return None

    def __enter__(self) -> "EmulatedTarget":
        missing = self.missing()
        if missing:
            raise MeasureError(f"{self.name} needs {missing}")
        # A copy of the code only: the packages beside an installed mixkd are for this machine's processor.
        self._code = Path(tempfile.mkdtemp(prefix="mkd-bench-code-"))
        for name, path in worker_code().items():
            (self._code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self._code / name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._code, ignore_errors=True)

    def prepare(self, variant: Variant) -> Variant:
        """Return the variant itself: the emulated process sees this machine's files."""
        if not isinstance(variant, OnnxVariant):
            raise MeasureError(f"{variant.runtime} isn't emulated: only onnxruntime is")
        return variant

    def launch(self, threads: int) -> Launch:
        """Return the emulator running the worker."""
        emulator = next(filter(None, map(shutil.which, self.processor.emulators)))
        command = [emulator, "-cpu", self.processor.cpu]
        environment = worker_environment(threads)
        if self._foreign:
            root = aarch64_root()
            command += ["-L", str(root), str(root / "usr/bin/python3"), "-m", WORKER_MODULE]
            return Launch(command, {**environment, "PYTHONPATH": str(self._code), "PYTHONNOUSERSITE": "1"})
        return Launch([*command, sys.executable, "-m", WORKER_MODULE], environment)

    def explain(self, said: str, code: int) -> str:
        """Return the last line and how the process ended."""
        return last_words(said, code)

    @property
    def _foreign(self) -> bool:
        return self.processor is PROCESSORS["aarch64"]
