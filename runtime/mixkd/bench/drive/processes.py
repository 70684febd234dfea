"""The measuring side of the workers: start one per variant, ask it, end it."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.drive.noise import Reading
from mixkd.bench.report.figures import Environment
from mixkd.bench.targets.base import Target, full_environment
from mixkd.bench.variants import Variant, to_json
from mixkd.bench.worker.scenarios import Growth
from mixkd.bench.worker.timing import Block
from mixkd.errors import MeasureError
from mixkd.runtime.encoding import Text

_CLOSE_SECONDS = 5


class WorkerProcess:
    """One fresh process that holds one variant; a context manager that ends it."""

    def __init__(self, variant: Variant, target: Target, *, threads: int) -> None:
        self.variant = variant
        self._target = target
        self._threads = threads
        self._pid = 0
        self._placed = target.place(variant)
        launch = target.launch(threads)
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            launch.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=full_environment(launch),
        )

    @property
    def pid(self) -> int:
        """The process id, where the worker runs; known once it has loaded."""
        return self._pid

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        if self._process.stdin:
            with suppress(BrokenPipeError):  # a worker that is gone leaves a request unread
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()

    def load(self, first: Text) -> dict[str, Any]:
        """Load the variant and answer one text; return the times and the memory around it."""
        reply: dict[str, Any] = self._ask(
            "load", variant=to_json(self._placed), threads=self._threads, first=first
        )
        self._pid = reply["pid"]
        return reply

    def warm(self, texts: Sequence[Text]) -> None:
        """Warm every input length of the texts."""
        self._ask("warm", texts=list(texts))

    def time(self, texts: Sequence[Text]) -> Block:
        """Time one block of texts."""
        return Block(**self._ask("time", texts=list(texts)))

    def memory(self) -> dict[str, Any]:
        """Read the worker's memory."""
        reply: dict[str, Any] = self._ask("memory")
        return reply

    def logits(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Return the logits of N texts as (N, C), untimed."""
        reply = self._ask("logits", texts=list(texts))
        return np.frombuffer(base64.b64decode(reply["float32"]), np.float32).reshape(reply["shape"])

    def offline(self, texts: Sequence[Text]) -> int:
        """Answer all texts at once; return nanoseconds."""
        return int(self._ask("offline", texts=list(texts)))

    def paced(self, texts: Sequence[Text], *, gap_s: float) -> Block:
        """Time texts with idle gaps."""
        return Block(**self._ask("paced", texts=list(texts), gap_s=gap_s))

    def server(self, texts: Sequence[Text], *, rate_per_s: float, seed: int) -> list[int]:
        """Answer texts at Poisson arrivals; return nanoseconds from each arrival."""
        return list(self._ask("server", texts=list(texts), rate_per_s=rate_per_s, seed=seed))

    def growth(self, texts: Sequence[Text], *, calls: int, limit_s: float) -> Growth:
        """Make many varied calls; return the memory around them."""
        return Growth(**self._ask("growth", texts=list(texts), calls=calls, limit_s=limit_s))

    def counters(self, pids: list[int]) -> Reading | None:
        """Read the noise guard's counters where the worker runs."""
        reply = self._ask("counters", pids=pids)
        return Reading(**reply) if reply else None

    def environment(self) -> Environment:
        """Describe the machine that the worker runs on."""
        reply = self._ask("environment")
        return Environment(**{**reply, "isa": tuple(reply["isa"])})

    def _ask(self, do: str, **fields: Any) -> Any:
        line = json.dumps({"do": do, **fields})
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(line + "\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise MeasureError(f"{self.variant.name}: {self._ending()}")
        reply = json.loads(answer)
        if "error" in reply:
            raise MeasureError(f"{self.variant.name}: {reply['error']}")
        return reply["ok"]

    def _ending(self) -> str:
        try:
            code = self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        self._log.seek(0)
        return self._target.explain(self._log.read().decode("utf-8", errors="replace"), code)
