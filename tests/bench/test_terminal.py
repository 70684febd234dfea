import io
import re
import time

import pytest

from mixkd.bench.terminal import TerminalProgress

LINE = r"\[======                  \] (\d+:\d\d) making teacher-onnx"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def wait_for(screen: io.StringIO, words: str) -> None:
    """Return when the words stand there; the test's own timeout is the runner's."""
    while words not in screen.getvalue():
        time.sleep(0.02)


def test_step_that_tells_nothing_for_long_shows_its_bar_and_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    with TerminalProgress() as progress:
        progress("making teacher-onnx", 1, 4)
        while len(clocks := re.findall(LINE, screen.getvalue())) < 2:
            time.sleep(0.02)
    # It was told once, and drawn again and again.
    assert clocks == sorted(set(clocks))
    assert screen.getvalue().endswith("\r\x1b[K")


def test_what_is_quick_stays_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("mixkd.bench.terminal._SILENT_SECONDS", 60.0)
    with TerminalProgress() as progress:
        progress("loading", 0, 1)
    assert screen.getvalue() == ""


def test_log_gets_a_line_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    monkeypatch.setattr("mixkd.bench.terminal._SILENT_SECONDS", 0.01)
    monkeypatch.setattr("mixkd.bench.terminal._REDRAW_SECONDS", 0.01)
    with TerminalProgress() as progress:
        for step in ("loading", "timing"):
            progress(step, 0, 2)
            wait_for(log, step)
            progress(step, 1, 2)
    assert log.getvalue().splitlines() == ["loading", "timing"]


def test_line_is_cleared_for_others_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("mixkd.bench.terminal._SILENT_SECONDS", 0.01)
    monkeypatch.setattr("mixkd.bench.terminal._REDRAW_SECONDS", 0.01)
    with TerminalProgress() as progress:
        progress("judging", 0, 2)
        wait_for(screen, "judging")
        progress("", 0, 1)
        time.sleep(0.1)
        cleared = screen.getvalue()
        assert cleared.endswith("\r\x1b[K")
        time.sleep(0.1)
        assert screen.getvalue() == cleared
