"""Progress on standard error: one line that is rewritten, or a line per stage where nobody watches."""

import sys
import threading
import time
from types import TracebackType

_BAR = 24
_SILENT_SECONDS = 1.0
_REDRAW_SECONDS = 1.0


class TerminalProgress:
    """A `Progress` for a terminal; a context manager that clears its line at the end.

    Nothing is shown in the first second, so that what is quick stays quiet. After that the line is redrawn
    once a second by a thread of its own: a step that tells nothing for long still shows its clock.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._step = ("", 0, 1)
        self._shown = ""
        self._rewrites = sys.stderr.isatty()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._clock = threading.Thread(target=self._run, daemon=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of what is done now, and how far it is; an empty text clears the line for others."""
        with self._lock:
            self._step = (what, done, total)
            if not what:
                self._clear()

    def __enter__(self) -> "TerminalProgress":
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._clock.join()
        self._clear()

    def _run(self) -> None:
        while not self._ended.wait(_REDRAW_SECONDS if self._shown else _SILENT_SECONDS):
            with self._lock:
                self._draw()

    def _clear(self) -> None:
        if self._rewrites and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._shown = ""

    def _draw(self) -> None:
        what, done, total = self._step
        if not what or (what == self._shown and not self._rewrites):
            return
        if self._rewrites:
            seconds = int(time.monotonic() - self._started)
            filled = min(_BAR, _BAR * done // max(total, 1))
            bar = "=" * filled + " " * (_BAR - filled)
            sys.stderr.write(f"\r\x1b[K[{bar}] {seconds // 60}:{seconds % 60:02d} {what}")
        else:
            sys.stderr.write(f"{what}\n")
        self._shown = what
        sys.stderr.flush()
