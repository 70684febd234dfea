"""How long work says how far it is, and the one way it is shown on standard error."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from mixkd.console import visible, warn

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is done now, how much of it is done, and how much there is.

An empty text says that something else is about to write to the terminal.
"""

_SILENT_S = 1.0
_REDRAW_S = 1.0
_BAR_WIDTH = 24


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Show nothing."""


class TerminalProgress:
    """A `Progress` that is shown: bar, clock and text on one line of a terminal, removed at the end.

    Nothing is shown in the first second, so that what is quick stays quiet. After that the line is redrawn
    once a second by a thread of its own: a step that tells nothing for long still shows its clock.

    Args:
        lines: Where standard error is no terminal: print each step that lasts as a line; else nothing.
    """

    def __init__(self, *, lines: bool = False) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shows = self._terminal or lines
        self._step = ("", 0, 1)
        self._shown = ""
        self._bar: Bar | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._clock = threading.Thread(target=self._run, daemon=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of what is done now, and how far it is; an empty text removes the line."""
        with self._lock:
            self._step = (what, done, total)
            if not what:
                self._remove()

    def __enter__(self) -> "TerminalProgress":
        if self._shows:
            self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._shows:
            self._clock.join()
        self._remove()

    def _run(self) -> None:
        while not self._ended.wait(_REDRAW_S if self._shown else _SILENT_S):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        what, done, total = self._step
        if not what:
            return
        if self._terminal:
            self._draw_bar(visible(what), done, max(total, 1))
        elif what != self._shown:
            warn(what)
        self._shown = what

    def _draw_bar(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = _new_bar()
            self._bar.add_task("")
        bar = self._bar
        bar.update(bar.task_ids[0], description=what, completed=done, total=total)
        bar.start()
        bar.refresh()

    def _remove(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._shown = ""


def _new_bar() -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(_BAR_WIDTH),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    console = Console(stderr=True, highlight=False)
    return Progress(
        *columns,
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
