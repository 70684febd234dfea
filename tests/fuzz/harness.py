"""Runs attempts in child processes, under limits of time and memory, and counts what became of each.

An attempt is a function of a seed and an empty folder; it makes something hostile and hands it to mkd::

    def attempt(seed: int, folder: Path) -> Outcome:
        chance = random.Random(seed)
        ...
        try:
            answer = ...
        except BundleError:
            return Outcome.REFUSED
        return Outcome.RIGHT if looks_right(answer) else Outcome.WRONG

The documented error and the right answer are all that is allowed. What an attempt raises is `RAW`; a child
that dies is `CRASHED`, one that goes on for too long `HUNG`, one that takes too much memory `GREEDY`.
"""

import importlib
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[2]
SECONDS = 12.0
"""The longest that one attempt may take, and a child to start (which has as long again)."""

MEMORY_BYTES = 2**31
"""Data that a child may allocate; one that touched half of it is greedy."""


class Outcome(StrEnum):
    """What became of an attempt."""

    RIGHT = "right"
    REFUSED = "refused"
    WRONG = "wrong"
    RAW = "raw exception"
    CRASHED = "crashed"
    HUNG = "hung"
    GREEDY = "greedy"


ALLOWED = frozenset({Outcome.RIGHT, Outcome.REFUSED})
Attempt: TypeAlias = Callable[[int, Path], Outcome]


@dataclass(slots=True)
class Tally:
    """The outcomes of many attempts.

    Attributes:
        counts: How many of each.
        bad: Seed, outcome and the last words of each that isn't allowed.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    bad: list[tuple[int, Outcome, str]] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome, words: str) -> None:
        """Count one attempt."""
        self.counts[outcome] += 1
        if outcome not in ALLOWED:
            self.bad.append((seed, outcome, words))

    def __str__(self) -> str:
        lines = [", ".join(f"{count} {outcome}" for outcome, count in sorted(self.counts.items()))]
        return "\n".join(lines + [f"seed {seed}: {outcome}: {words}" for seed, outcome, words in self.bad])


def fuzz(
    target: str,
    seeds: Sequence[int],
    *,
    processes: int = 1,
    seconds: float = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
    environment: Mapping[str, str] | None = None,
) -> Tally:
    """Run an attempt with each seed.

    Args:
        target: ``module:function`` of the attempt.
        seeds: What the attempts are made from.
        processes: Children at a time.
        seconds: The longest that one attempt may take.
        memory_bytes: What a child may allocate.
        environment: More variables for the children, such as a `PYTHONPATH` to other packages.
    """
    tally = Tally()
    shares = [seeds[start::processes] for start in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        for part in pool.map(lambda share: _share(target, share, seconds, memory_bytes, environment), shares):
            tally.counts += part.counts
            tally.bad += part.bad
    return tally


def _share(
    target: str,
    seeds: Sequence[int],
    seconds: float,
    memory_bytes: int,
    environment: Mapping[str, str] | None,
) -> Tally:
    tally, left = Tally(), list(seeds)
    while left:
        with _Child(target, left, memory_bytes, environment) as child:
            words = child.line(2 * seconds)
            if words != "ready":
                raise RuntimeError(f"{target} doesn't start: {words or ''}{child.last_words()}")
            while left:
                words = child.line(seconds)
                if words is None or not words:
                    outcome = Outcome.HUNG if words is None else Outcome.CRASHED
                    tally.add(left.pop(0), outcome, child.last_words())
                    break
                outcome_name, _, rest = words.partition("\t")
                tally.add(left.pop(0), Outcome(outcome_name), rest)
    return tally


class _Child:
    """A process that makes attempts and writes a line after each."""

    def __init__(
        self, target: str, seeds: Sequence[int], memory_bytes: int, environment: Mapping[str, str] | None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mkd-fuzz-"))
        self._errors = (self._folder / "errors").open("w+b")
        path = os.pathsep.join(filter(None, [(environment or {}).get("PYTHONPATH"), str(ROOT)]))
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.fuzz.harness",
                target,
                str(self._folder / "work"),
                str(memory_bytes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), "PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self._process.stdin.write(" ".join(map(str, seeds)).encode("ascii"))
        self._process.stdin.close()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._output.close()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def line(self, seconds: float) -> str | None:
        """Return the next line; None after that many seconds without one, nothing at the end."""
        # Each line is written in one piece, and the next attempt only then begins to write.
        return self._output.readline().decode().rstrip("\n") if self._selector.select(seconds) else None

    def last_words(self) -> str:
        """Return how it ended, and the end of what it wrote to standard error."""
        if self._selector.select(0):
            self._process.wait(1)
        self._errors.flush()
        lines = (self._folder / "errors").read_bytes().decode("utf-8", "replace").split("\n")
        return f"exit code {self._process.poll()} " + " | ".join(line for line in lines[-8:] if line)


def run_child(target: str, work: Path, memory_bytes: int) -> None:
    """Make the attempts whose seeds stand on standard input; called in the child."""
    seeds = [int(word) for word in sys.stdin.read().split()]
    name, _, function = target.partition(":")
    attempt: Attempt = getattr(importlib.import_module(name), function)
    # What the software under test prints must not be taken for a line of this.
    lines = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="replace")
    os.dup2(2, 1)
    _limit(memory_bytes)
    lines.write("ready\n")
    for seed in seeds:
        work.mkdir(parents=True)
        outcome, words = _outcome(attempt, seed, work, memory_bytes)
        lines.write(f"{outcome}\t{words}\n")
        shutil.rmtree(work)


def _outcome(attempt: Attempt, seed: int, work: Path, memory_bytes: int) -> tuple[Outcome, str]:
    before = _peak_bytes()
    try:
        outcome, words = attempt(seed, work), ""
    except BaseException as error:  # panics of Rust code among them
        where = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        return Outcome.RAW, words.replace("\n", " ")[:500]
    if _peak_bytes() - before > memory_bytes / 2:
        return Outcome.GREEDY, f"{_peak_bytes()} bytes, {outcome} otherwise"
    return outcome, words


def _limit(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:
        return  # Windows
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, whose ru_maxrss begins with the parent's peak
        return 1024 * int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0])
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    run_child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
