"""The harness sees every bad end of a mutant, and goes on behind it."""

import sys
from pathlib import Path

import pytest

from tests.fuzz.harness import run

FUZZER = """
import os, signal, time
from mixkd.errors import DataError

TRIAL_SECONDS = 1.0
MEMORY_BYTES = 2**28

def prepare(folder):
    (folder / "note").write_text("kept while the child lives")
    return folder

def trial(state, rng):
    assert (state / "note").exists()
    print("noise on standard output")
    kind = int(rng.random() * 8)
    if kind == 0:
        raise DataError("one line")
    if kind == 1:
        raise DataError("two\\nlines")
    if kind == 2:
        raise KeyError("x")
    if kind == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == 4:
        time.sleep(60)
    if kind == 5:
        bytearray(2**30)
    if kind == 6:
        assert False, "a wrong answer"
"""


def test_every_bad_end_is_seen_and_made_again_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_fuzzer.py").write_text(FUZZER, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcomes = run("odd_fuzzer", seed=10, count=16)
    assert outcomes.counts.total() == 16
    assert set(outcomes.counts) == {
        "answered", "refused", "refused in several lines", "KeyError", "died", "hung", "MemoryError",
        "AssertionError",
    }  # fmt: skip
    assert len(outcomes.findings) == 16 - outcomes.counts["answered"] - outcomes.counts["refused"]
    for finding in outcomes.findings[:3]:
        again = run("odd_fuzzer", seed=10, first=finding.number, count=1)
        assert [(f.number, f.outcome) for f in again.findings] == [(finding.number, finding.outcome)]


def test_fuzzer_that_cannot_be_prepared_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_fuzzer.py").write_text("def prepare(folder):\n    raise OSError('no disk')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="broken_fuzzer can't be prepared"):
        run("broken_fuzzer", seed=0, count=1)
    assert "broken_fuzzer" in sys.modules
