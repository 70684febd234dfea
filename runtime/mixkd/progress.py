"""Progress on stderr, for work that takes longer than a moment; silent where nobody watches."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FIRST_AFTER_S = 2.0
_EVERY_S = 0.5


@contextmanager
def progress(what: str, *, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with each amount done; a line `what 40 % (0:12 left)` shows after two seconds.

    Args:
        what: The work, as in ``asking the teacher``.
        total: The amount in all.
    """
    started = shown = time.monotonic()
    done = 0
    watched = sys.stderr.isatty()

    def advance(amount: int) -> None:
        nonlocal done, shown
        done += amount
        now = time.monotonic()
        if watched and now - started >= _FIRST_AFTER_S and now - shown >= _EVERY_S:
            shown = now
            left = (now - started) * (total - done) / max(done, 1)
            sys.stderr.write(f"\r{what} {100 * done // max(total, 1):3d} % ({_clock(left)} left) ")
            sys.stderr.flush()

    yield advance
    if shown != started:
        sys.stderr.write(f"\r{what} in {_clock(time.monotonic() - started)}              \n")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
