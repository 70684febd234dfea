"""What a target is: it prepares a variant's files and says how a worker is started.

Every target runs the same worker and speaks to it in the same JSON lines; only the command differs. So every
number is measured in the same way.
"""

import os
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.pipes import Limits
from mixkd.bench.variants import Variant
from mixkd.console import visible


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a worker.

    Attributes:
        command: The words of the command; its standard pipes are the worker's.
        environment: Variables to set beside those of this process.
        limits: What the worker may take of time and bytes.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


class Target(Protocol):
    """Where variants are measured; a context manager that leaves nothing behind."""

    @property
    def name(self) -> str:
        """Its name, as `--target` takes it."""
        ...

    @property
    def evidence(self) -> Evidence:
        """What its rows may be used for."""
        ...

    def __enter__(self) -> "Target": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def prepare(self, variant: Variant) -> Variant:
        """Copy the variant's files where needed; return the variant with its paths on the target.

        Raises:
            MeasureError: If the variant can't run on this target.
        """
        ...

    def launch(self, threads: int) -> Launch:
        """Return how to start a worker there."""
        ...

    def explain(self, said: str, code: int) -> str:
        """Return why a worker ended, in a few words, from its standard error and exit code."""
        ...


class LocalTarget:
    """This machine, this Python."""

    name = "local"
    evidence = Evidence.DEVICE

    def __enter__(self) -> "LocalTarget":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def prepare(self, variant: Variant) -> Variant:
        """Return the variant itself."""
        return variant

    def launch(self, threads: int) -> Launch:
        """Return this Python running the worker."""
        return Launch([sys.executable, "-m", WORKER_MODULE], worker_environment(threads))

    def explain(self, said: str, code: int) -> str:
        """Return the last line and how the process ended."""
        return last_words(said, code)


WORKER_MODULE = "mixkd.bench.worker.main"
_HEARD_CHARACTERS = 500


def worker_environment(threads: int) -> dict[str, str]:
    """Return the same number of threads for every engine, no telemetry thread beside it, no hub."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }


def last_words(said: str, code: int) -> str:
    """Return how a process ended, and the last line it said."""
    lines = said.strip().splitlines()
    how = f"signal {-code}, out of memory?" if code < 0 else f"exit code {code}"
    return f"{how}: {heard(lines[-1])}" if lines else how


def heard(said: str) -> str:
    """Return what another program said as a part of one line: control characters escaped, the end cut."""
    return visible(said[:_HEARD_CHARACTERS]) + ("..." if len(said) > _HEARD_CHARACTERS else "")


def full_environment(launch: Launch) -> dict[str, str]:
    """Return this process's variables with the launch's over them."""
    return os.environ | launch.environment
