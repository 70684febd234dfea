"""The measuring side of the workers: start one per variant, ask it, end it."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import MeasureError
from mixkd.runtime.bench.timing import Block
from mixkd.runtime.bench.variants import Variant, to_json
from mixkd.runtime.encoding import Text

_CLOSE_SECONDS = 5


class WorkerProcess:
    """One fresh process that holds one variant; a context manager that ends it."""

    def __init__(self, variant: Variant, *, threads: int) -> None:
        self.variant = variant
        self._threads = threads
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mixkd.runtime.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=_environment(threads),
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        if self._process.stdin:
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
            "load", variant=to_json(self.variant), threads=self._threads, first=first
        )
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
            raise MeasureError(f"{self.variant.name}: the measuring process ended ({self._ending()})")
        reply = json.loads(answer)
        if "error" in reply:
            raise MeasureError(f"{self.variant.name}: {reply['error']}")
        return reply["ok"]

    def _ending(self) -> str:
        code = self._process.wait(_CLOSE_SECONDS)
        self._log.seek(0)
        said = self._log.read().decode("utf-8", errors="replace").strip().splitlines()
        how = f"signal {-code}, out of memory?" if code < 0 else f"exit code {code}"
        return f"{how}: {said[-1]}" if said else how


def _environment(threads: int) -> dict[str, str]:
    # The same number of threads for every engine, no telemetry thread beside the measured one, no hub.
    return os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }
