"""A time limit for each run of a graph."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mixkd.errors import DeadlineError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class TimedSession:
    """Stands in for a session, and ends a run whose time is up.

    onnxruntime looks between two operators whether it is to stop: what ends is not the one that is running.
    """

    def __init__(self, session: "InferenceSession", seconds: float) -> None:
        """Take the session, and the seconds that one run may take."""
        self._session = session
        self._seconds = seconds
        self.io_binding, self.get_inputs, self.get_outputs = (
            session.io_binding,
            session.get_inputs,
            session.get_outputs,
        )

    def run(self, outputs: Sequence[str], feed: Mapping[str, Any]) -> Any:
        """Do as `InferenceSession.run` does.

        Raises:
            DeadlineError: If the time is up first.
        """
        with self._limit() as options:
            return self._session.run(outputs, feed, options)

    def run_with_iobinding(self, binding: Any) -> None:
        """Do as `InferenceSession.run_with_iobinding` does.

        Raises:
            DeadlineError: If the time is up first.
        """
        with self._limit() as options:
            self._session.run_with_iobinding(binding, options)

    @contextmanager
    def _limit(self) -> Iterator[Any]:
        from onnxruntime import RunOptions

        options = RunOptions()
        timer = threading.Timer(self._seconds, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            yield options
        except Exception as error:  # onnxruntime's own exceptions share no base
            if options.terminate:
                raise DeadlineError(
                    f"no answer within {self._seconds:g} seconds: give a larger timeout_s, or a shorter text"
                ) from error
            raise
        finally:
            timer.cancel()
