"""The harness sees every bad end of an attempt, and goes on behind it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.fuzz.harness import ROOT, Outcome, fuzz

ATTEMPTS = """
import os, signal, time
from tests.fuzz.harness import Outcome

def attempt(seed, folder):
    assert not list(folder.iterdir())
    (folder / "note").write_text("left behind")
    print("noise on standard output")
    if seed == 1:
        return Outcome.REFUSED
    if seed == 2:
        return Outcome.WRONG
    if seed == 3:
        raise KeyError("two\\nlines")
    if seed == 4:
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == 5:
        time.sleep(600)
    if seed == 6:
        bytearray(2**30)
    if seed == 7:
        memory = b"x" * (250 * 2**20)
    return Outcome.RIGHT
"""
ENDS = {
    0: Outcome.RIGHT,
    1: Outcome.REFUSED,
    2: Outcome.WRONG,
    3: Outcome.RAW,
    4: Outcome.CRASHED,
    5: Outcome.HUNG,
    6: Outcome.RAW,
    7: Outcome.GREEDY,
    8: Outcome.RIGHT,
}


def test_every_bad_end_is_seen_and_names_its_seed(tmp_path: Path) -> None:
    (tmp_path / "odd_attempts.py").write_text(ATTEMPTS, encoding="utf-8")
    tally = fuzz(
        "odd_attempts:attempt",
        list(ENDS),
        seconds=3,
        memory_bytes=3 * 2**27,
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert {seed: outcome for seed, outcome, _ in tally.bad} == {
        seed: end for seed, end in ENDS.items() if end not in {Outcome.RIGHT, Outcome.REFUSED}
    }
    assert tally.counts[Outcome.RIGHT] == 2
    assert tally.counts[Outcome.REFUSED] == 1
    words = {seed: words for seed, _, words in tally.bad}
    assert "KeyError: 'two" in words[3]
    assert "MemoryError" in words[6]
    assert "odd_attempts" not in sys.modules


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_that_security_md_tells_to_type_works(target: str) -> None:
    (line,) = re.findall(
        r"^\$ python (-m tests\.fuzz .*?)\s+#", (ROOT / "SECURITY.md").read_text("utf-8"), re.M
    )
    words = line.replace(" onnx ", f" {target} ").replace("50000", "2").split()
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{target}, installed packages, ")


def test_attempts_that_cannot_start_are_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"tests\.fuzz\.nowhere:attempt doesn't start"):
        fuzz("tests.fuzz.nowhere:attempt", [0])
