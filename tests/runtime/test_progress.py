import io
import re
import time

import pytest

from mixkd.progress import TerminalProgress

LINE = r"(\d+:\d\d:\d\d) making \[teacher\]-onnx"
REMOVED = "\x1b[1A\x1b[2K"  # up, and the line erased
CODES = r"\x1b\[[0-9;?]*[a-zA-Z]"


def shown(screen: io.StringIO) -> str:
    """Return what was drawn, without the codes of colour and cursor."""
    return re.sub(CODES, "", screen.getvalue())


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
        progress("making [teacher]-onnx", 1, 4)
        while len(set(clocks := re.findall(LINE, shown(screen)))) < 2:
            time.sleep(0.02)
    # It was told once, and drawn again and again.
    assert clocks == sorted(clocks)
    assert screen.getvalue().endswith(REMOVED)


def test_what_is_quick_stays_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("mixkd.progress._SILENT_S", 60.0)
    with TerminalProgress() as progress:
        progress("loading", 0, 1)
    assert screen.getvalue() == ""


def test_log_gets_a_line_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    monkeypatch.setattr("mixkd.progress._SILENT_S", 0.01)
    monkeypatch.setattr("mixkd.progress._REDRAW_S", 0.01)
    with TerminalProgress(lines=True) as progress:
        for step in ("loading", "timing"):
            progress(step, 0, 2)
            wait_for(log, step)
            progress(step, 1, 2)
    assert log.getvalue().splitlines() == ["loading", "timing"]


def test_line_is_cleared_for_others_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("mixkd.progress._SILENT_S", 0.01)
    monkeypatch.setattr("mixkd.progress._REDRAW_S", 0.01)
    with TerminalProgress() as progress:
        progress("judging", 0, 2)
        wait_for(screen, "judging")
        progress("", 0, 1)
        time.sleep(0.1)
        cleared = screen.getvalue()
        assert cleared.endswith(REMOVED)
        time.sleep(0.1)
        assert screen.getvalue() == cleared


def test_no_terminal_gets_nothing_unless_lines_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    monkeypatch.setattr("mixkd.progress._SILENT_S", 0.01)
    with TerminalProgress() as progress:
        progress("loading", 0, 2)
        time.sleep(0.1)
    assert log.getvalue() == ""


def test_names_from_outside_can_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("mixkd.progress._SILENT_S", 0.01)
    with TerminalProgress() as progress:
        progress("loading \x1b]0;mine\x07", 0, 2)
        wait_for(screen, "loading \\x1b]0;mine\\x07")
    assert "\x1b]0" not in screen.getvalue()


def test_closed_standard_error_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with TerminalProgress(lines=True) as progress:
        progress("loading", 0, 2)
