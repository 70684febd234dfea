"""A child process that is spoken to over its pipes, within limits of time and of bytes.

A child may be a device's worker behind ssh: it may answer never, without an end, or not read what it is sent.
"""

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO

_CHUNK_BYTES = 65536
_KEPT_ERROR_BYTES = 65536
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take before it is ended.

    Attributes:
        silence_s: Seconds from the last byte it was sent to its whole answer, and for taking what it is sent.
        ends_at: The end of the whole run, on the clock of `time.monotonic`.
        reply_bytes: Bytes of one answer.
        total_bytes: Bytes of everything it says, standard error included.
        options: What sets `silence_s` and `ends_at`, to be named where they end it.
    """

    silence_s: float = math.inf
    ends_at: float = math.inf
    reply_bytes: int = 32 * 2**20
    total_bytes: int = 2**30
    options: tuple[str, str] = ("silence_s", "ends_at")


class PipeError(Exception):
    """Why a child was ended, in a few words."""


class Child:
    """A running command; a context manager that ends it, and every process that it started itself.

    Attributes:
        limits: What it may take from now on; they may be replaced.
    """

    def __init__(
        self, command: Sequence[str], *, limits: Limits, environment: Mapping[str, str] | None = None
    ) -> None:
        self.limits = limits
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
            # A session of its own, so that it can be ended as a whole.
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._input: IO[bytes] = self._process.stdin
        self._changed = threading.Condition()
        self._output, self._errors = bytearray(), bytearray()
        self._taken, self._output_ended, self._over, self._why = 0, False, False, ""
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_output, self._process.stdout),
                (self._read_errors, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._kill()
        self.close_input()
        self.wait()
        self._kill()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for reader in self._readers:
            reader.join(_CLOSE_SECONDS)  # each closes its own pipe
        self._process.wait()

    def write(self, data: bytes) -> int:
        """Send bytes.

        Raises:
            PipeError: If it doesn't take them in time.
            BrokenPipeError: If it is gone.
        """
        with self._watched():
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[self._input.write(rest) :]
            except OSError as error:
                if not self._why:
                    raise BrokenPipeError from error
        if self._why:
            raise PipeError(self._why)
        return len(data)

    def close_input(self) -> None:
        """Send nothing more."""
        with suppress(OSError):
            self._input.close()

    def read_line(self) -> bytes:
        """Return its next line with the newline, or nothing where it closed its output.

        Raises:
            PipeError: If none comes in time, or one that is too long.
        """
        return self._read(lambda start: self._output.find(b"\n", start) + 1)

    def read_all(self) -> bytes:
        """Return the rest of its output; errors as in `read_line`."""
        return self._read(lambda _: len(self._output) if self._output_ended else 0)

    def wait(self, seconds: float = _CLOSE_SECONDS) -> int | None:
        """Return the exit code, or None where it goes on for so long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_in_time(self) -> int:
        """Return the exit code.

        Raises:
            PipeError: If it doesn't end in time.
        """
        code = self.wait(self._seconds_left())
        if code is None:
            self._give_up_in_time()
            raise PipeError(self._why)
        return code

    def said(self) -> str:
        """Return the end of what it wrote to standard error."""
        self._readers[1].join(0 if self._process.poll() is None else 1.0)
        with self._changed:
            return self._errors.decode("utf-8", errors="replace")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """End the child where the block takes too long: writing to a full pipe can't be waited for."""
        seconds = self._seconds_left()
        if math.isinf(seconds):
            yield
            return
        watch = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._give_up_in_time)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _read(self, end_of: Callable[[int], int]) -> bytes:
        """Return the output up to the end that `end_of` finds, told how far it has searched; 0 is none."""
        deadline, searched = time.monotonic() + self._seconds_left(), 0
        with self._changed:
            while not self._why:
                end = end_of(searched)
                if end:
                    found = bytes(self._output[:end])
                    del self._output[:end]
                    self._changed.notify_all()
                    return found
                searched, left = len(self._output), deadline - time.monotonic()
                if searched > self.limits.reply_bytes:
                    self._give_up(f"its answer is longer than {_size(self.limits.reply_bytes)}")
                elif self._output_ended:
                    return b""
                elif left <= 0:
                    self._give_up_in_time()
                else:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
        raise PipeError(self._why)

    def _read_output(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := stream.read(_CHUNK_BYTES):
                with self._changed:
                    self._output += chunk
                    self._count(chunk)
                    # What nobody has asked for yet stays in the pipe, and the child waits.
                    while len(self._output) > self.limits.reply_bytes and not self._over:
                        self._changed.wait()
        with self._changed:
            self._output_ended = True
            self._changed.notify_all()

    def _read_errors(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := stream.read(_CHUNK_BYTES):
                with self._changed:
                    self._errors += chunk
                    del self._errors[:-_KEPT_ERROR_BYTES]
                    self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self._taken += len(chunk)
        if self._taken > self.limits.total_bytes:
            self._give_up(f"it said more than {_size(self.limits.total_bytes)} in all")
        self._changed.notify_all()

    def _seconds_left(self) -> float:
        return max(0.0, min(self.limits.silence_s, self.limits.ends_at - time.monotonic()))

    def _give_up_in_time(self) -> None:
        silence, run = self.limits.options
        if time.monotonic() >= self.limits.ends_at:
            self._give_up(f"the time for the whole run is over ({run})")
        else:
            self._give_up(f"no answer for {self.limits.silence_s:g} s ({silence})")

    def _give_up(self, why: str) -> None:
        with self._changed:
            self._why = self._why or why
            self._over = True
            self._kill()
            self._changed.notify_all()

    def _kill(self) -> None:
        if self._process.poll() is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()


def _size(count: int) -> str:
    return f"{count / 2**20:g} MiB" if count >= 2**20 else f"{count / 2**10:g} KiB"
