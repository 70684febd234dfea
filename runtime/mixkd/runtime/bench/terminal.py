"""Progress on standard error: one line that is rewritten, or a line per stage where nobody watches."""

import sys
import time
from types import TracebackType

_BAR = 24
_SILENT_SECONDS = 1.0
_REDRAW_SECONDS = 0.1


class TerminalProgress:
    """A `Progress` for a terminal; a context manager that clears its line at the end.

    Nothing is shown in the first second, so that what is quick stays quiet.
    """

    def __init__(self) -> None:
        self._started = self._drawn = time.monotonic()
        self._what = ""
        self._rewrites = sys.stderr.isatty()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show what is done now, and how far it is."""
        now = time.monotonic()
        if now - self._started < _SILENT_SECONDS or now - self._drawn < _REDRAW_SECONDS:
            return
        if self._rewrites:
            filled = _BAR * done // max(total, 1)
            bar = "=" * filled + " " * (_BAR - filled)
            sys.stderr.write(f"\r\x1b[K[{bar}] {what}")
            self._drawn = now
        elif what != self._what:
            sys.stderr.write(f"{what}\n")
        self._what = what
        sys.stderr.flush()

    def __enter__(self) -> "TerminalProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rewrites and self._what:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
