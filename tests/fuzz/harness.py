"""Runs fuzzers: mutants by number and seed, tried in child processes under limits, their outcomes counted.

A fuzzer is a module with two functions and, where the defaults don't fit, two limits::

    def prepare(folder: Path) -> State: ...            # once per child process; the folder goes away with it
    def trial(state: State, rng: Random) -> None: ...  # makes one mutant and hands it to the real component
    MEMORY_BYTES, TRIAL_SECONDS = 2 * 2**30, 20

A trial that returns gave the right answer (it asserts that itself); one that raises an `MkdError` refused.
Everything else is a finding: another exception, the end of the process, no end within the limit. The mutant
of a finding is made again by its number: `python -m tests.fuzz.report --seed 7 --first 1234 --count 1`.
"""

import argparse
import importlib
import json
import os
import resource
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from mixkd.bench.targets.pipes import Child, Limits, PipeError
from mixkd.errors import MkdError

ALLOWED = ("answered", "refused")
_PREPARE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A mutant that ended in another way than it may."""

    number: int
    outcome: str
    detail: str


@dataclass(slots=True)
class Outcomes:
    """How the mutants ended, and those that ended badly."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, number: int, outcome: str, detail: str) -> None:
        self.counts[outcome] += 1
        if outcome not in ALLOWED:
            self.findings.append(Finding(number, outcome, detail))


def run(fuzzer: str, *, seed: int, count: int, first: int = 0) -> Outcomes:
    """Try mutants `first` to `first + count` of a fuzzer's module, in as many child processes as it takes."""
    outcomes, number, end = Outcomes(), first, first + count
    while number < end:
        number = _run_child(fuzzer, seed, number, end, outcomes)
    return outcomes


def _run_child(fuzzer: str, seed: int, first: int, end: int, outcomes: Outcomes) -> int:
    """Try mutants in one child until it ends, and return the first one that wasn't tried."""
    seconds = getattr(importlib.import_module(fuzzer), "TRIAL_SECONDS", 10.0)
    command = [sys.executable, "-m", "tests.fuzz.harness", fuzzer, str(seed), str(first), str(end)]
    with (
        TemporaryDirectory(prefix="mkd-fuzz-") as folder,
        Child([*command, folder], limits=Limits(_PREPARE_SECONDS), environment=_environment()) as child,
    ):
        if child.read_line() != b"ready\n":
            raise RuntimeError(f"{fuzzer} can't be prepared: {child.said()}")
        child.limits = Limits(seconds)
        for number in range(first, end):
            try:
                line = child.read_line()
            except PipeError as error:
                outcomes.add(number, "hung", str(error))
                return number + 1
            if not line:
                outcomes.add(number, "died", f"{child.wait(60)}: {child.said()[-2000:]}")
                return number + 1
            outcomes.add(number, *json.loads(line))
    return end


def _environment() -> dict[str, str]:
    # Fuzzers are found in the repository, wherever the tests were started.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _try_all(fuzzer: str, seed: int, first: int, end: int, *, folder: Path) -> None:
    """Be the child: one line per mutant on standard output."""
    module = importlib.import_module(fuzzer)
    answers, sys.stdout = sys.stdout, sys.stderr
    state = module.prepare(folder)
    memory = getattr(module, "MEMORY_BYTES", 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    answers.write("ready\n")
    answers.flush()
    for number in range(first, end):
        answers.write(json.dumps(_try(module, state, Random(f"{seed} {number}"))) + "\n")
        answers.flush()


def _try(module: Any, state: Any, rng: Random) -> tuple[str, str]:
    try:
        module.trial(state, rng)
    except MkdError as error:
        lines = str(error).splitlines()
        return ("refused", "") if len(lines) == 1 else ("refused in several lines", str(error)[:2000])
    except BaseException as error:  # a panic of a native library is no Exception
        return type(error).__name__, "".join(traceback.format_exception(error))[-2000:]
    return "answered", ""


def main(fuzzer: str) -> None:
    """Run a fuzzer from the command line and print how its mutants ended."""
    parser = argparse.ArgumentParser(prog=f"python -m {fuzzer}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    outcomes = run(fuzzer, seed=given.seed, count=given.count, first=given.first)
    for finding in outcomes.findings[:20]:
        sys.stdout.write(f"mutant {finding.number}: {finding.outcome}\n{finding.detail}\n\n")
    sys.stdout.write(", ".join(f"{how} {count}" for how, count in outcomes.counts.most_common()) + "\n")
    sys.exit(1 if outcomes.findings else 0)


if __name__ == "__main__":
    _, name, *numbers, scratch = sys.argv
    _try_all(name, *map(int, numbers), folder=Path(scratch))
