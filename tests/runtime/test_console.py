import io
import json
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from mixkd.console import answer, say, say_fields, visible, warn
from mixkd.errors import OutputError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e4\u4e2d\U0001f600 text \\n", "plain \u00e4\u4e2d\U0001f600 text \\n"),
        ("ok\t0.9999\nforged\t1.0", r"ok\t0.9999\nforged\t1.0"),
        ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
        ("\x9b31m\x7f\x00\r\x85", r"\x9b31m\x7f\x00\r\x85"),
        ("a\u202egnp.exe\u2066\u2028", r"a\u202egnp.exe\u2066\u2028"),
        ("\ud800 pay", r"\ud800 pay"),
    ],
)
def test_visible_escapes_what_could_move_the_cursor_or_forge_a_line(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_each_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb", "c\x1b")
    say_fields("label\tx\ny", "0.5")
    warn("e\r\nf")
    captured = capsys.readouterr()
    assert captured.out == "a\\nb\nc\\x1b\nlabel\\tx\\ny\t0.5\n"
    assert captured.err == "e\\r\\nf\n"


class Colour(StrEnum):
    RED = "red"


@dataclass
class Found:
    score: float
    where: Path
    colour: Colour = Colour.RED
    counts: tuple[int, ...] = (1, 2)


def test_answer_is_lines_or_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    values = {
        "found": Found(float("nan"), Path("out")),
        "label": "a\n\ud800\u2028",
        "loss": np.float32(0.5),
        "n": np.int64(3),
        "is": True,
    }
    answer(values, "a line", as_json=False)
    assert capsys.readouterr().out == "a line\n"
    answer(values, "a line", as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "found": {"score": None, "where": "out", "colour": "red", "counts": [1, 2]},
        "label": "a\n\ud800\u2028",
        "loss": 0.5,
        "n": 3,
        "is": True,
    }


def test_locale_of_few_characters_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", stream)
    say("caf\u00e9 \u4e2d")
    assert stream.buffer.getvalue() == b"caf\xe9 \\u4e2d\n"


def test_closed_streams_are_an_error_for_answers_and_nothing_for_warnings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    warn("nobody hears this")
    with pytest.raises(OutputError, match="standard output is closed"):
        say("nor this")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_streams_leave_no_traceback(tmp_path: Path) -> None:
    program = (
        "from mixkd.console import say, warn\nfrom mixkd.errors import OutputError\n"
        "try: say('x' * 100)\nexcept OutputError as error: {}\n"
    )
    with Path("/dev/full").open("w") as full:
        told = [sys.executable, "-c", program.format("warn(str(error))")]
        done = subprocess.run(told, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (
            0,
            "standard output can't be written: No space left on device\n",
        )
        told = [sys.executable, "-c", "from mixkd.console import warn; warn('x')"]
        assert subprocess.run(told, stderr=full, check=False).returncode == 0
