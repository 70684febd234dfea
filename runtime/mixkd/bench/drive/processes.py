"""The processes on a target: start them, ask them, check their answers, end them.

A process may run on a device that can't be trusted: an answer is decoded to its type, and its counts are
compared with what was asked, before a number of it is believed.
"""

import base64
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.decode import Count, DecodeError, Positive, Range, decode, read_json
from mixkd.bench.report.figures import Environment
from mixkd.bench.targets.base import Target, full_environment, heard
from mixkd.bench.targets.pipes import Child, PipeError
from mixkd.bench.variants import Variant, to_json
from mixkd.bench.worker.counters import MemoryReading
from mixkd.bench.worker.machine import Reading
from mixkd.bench.worker.replies import Loading, Logits
from mixkd.bench.worker.scenarios import Growth
from mixkd.bench.worker.timing import Block
from mixkd.errors import MeasureError
from mixkd.runtime.encoding import Text

_ERROR = Annotated[str, Range(0, 2**20)]


class _TargetProcess:
    """One fresh process on a target; a context manager that ends it.

    Every method raises `MeasureError` if the process has ended, answers too late or too much, reports an
    error, or gives an invalid answer.

    Attributes:
        name: What its errors begin with.
    """

    def __init__(self, name: str, target: Target, *, threads: int) -> None:
        self.name = name
        self._target = target
        launch = target.launch(threads)
        self._child = Child(launch.command, limits=launch.limits, environment=full_environment(launch))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)

    def _ask(self, kind: Any, do: str, **fields: Any) -> Any:
        answer = self._exchange(json.dumps({"do": do, **fields}).encode() + b"\n")
        try:
            reply = read_json(answer)
            if not isinstance(reply, dict) or len(reply.keys() & {"ok", "error"}) != 1:
                raise DecodeError("it is neither an answer nor an error")
            if "ok" in reply:
                return decode(kind, reply["ok"], do)
            said = decode(_ERROR, reply["error"], "the error")
        except DecodeError as error:
            raise self._invalid(do, str(error)) from error
        raise MeasureError(f"{self.name}: {heard(said)}")

    def _exchange(self, request: bytes) -> bytes:
        """Send one line and return the line that answers it."""
        try:
            self._child.write(request)
            answer = self._child.read_line()
        except BrokenPipeError:
            answer = b""
        except PipeError as error:
            raise MeasureError(f"{self.name}: {error}") from error
        if not answer:
            raise MeasureError(f"{self.name}: {self._ending()}")
        return answer

    def _invalid(self, do: str, why: str) -> MeasureError:
        return MeasureError(
            f"{self.name}: {self._target.name} gave an invalid answer to {do!r}: {heard(why)}"
        )

    def _ending(self) -> str:
        code = self._child.wait()
        return "it closed its pipe" if code is None else self._target.explain(self._child.said(), code)


class Observer(_TargetProcess):
    """Sees the machine of a target from a process of its own, so that nothing is added to a measured one."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.name, target, threads=1)

    def environment(self) -> Environment:
        """Describe the machine."""
        found: Environment = self._ask(Environment, "environment")
        return found

    def counters(self, pids: list[int]) -> Reading:
        """Read the noise guard's counters.

        Args:
            pids: The measured processes, as they are numbered there.
        """
        reading: Reading = self._ask(Reading, "counters", pids=pids)
        return reading


class WorkerProcess(_TargetProcess):
    """Holds one variant, answers, and is measured."""

    def __init__(self, variant: Variant, target: Target, *, threads: int) -> None:
        self.variant = variant
        self._threads = threads
        self._pid = 0
        self._prepared = target.prepare(variant)
        super().__init__(variant.name, target, threads=threads)

    @property
    def pid(self) -> int:
        """The process id, where the worker runs; known once it has loaded."""
        return self._pid

    def load(self, first: Text) -> Loading:
        """Load the variant and answer one text; return the times and the memory around it."""
        variant = to_json(self._prepared)
        loading: Loading = self._ask(Loading, "load", variant=variant, threads=self._threads, first=first)
        self._pid = loading.pid
        return loading

    def warm(self, texts: Sequence[Text]) -> None:
        """Warm every input length of the texts."""
        self._ask(Count, "warm", texts=list(texts))

    def time(self, texts: Sequence[Text]) -> Block:
        """Time one block of texts."""
        return self._block("time", texts)

    def memory(self) -> MemoryReading:
        """Read the worker's memory."""
        reading: MemoryReading = self._ask(MemoryReading, "memory")
        return reading

    def logits(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Return the logits of N texts as (N, C), untimed; all are finite."""
        reply: Logits = self._ask(Logits, "logits", texts=list(texts))
        wanted = (len(texts), len(self.variant.labels))
        if reply.shape != wanted:
            raise self._invalid("logits", f"its shape is {reply.shape}, not {wanted}")
        try:
            data = base64.b64decode(reply.float32, validate=True)
        except ValueError as error:
            raise self._invalid("logits", f"it is not base64: {error}") from error
        if len(data) != 4 * wanted[0] * wanted[1]:
            raise self._invalid("logits", f"{len(data)} bytes don't hold the shape {wanted}")
        array = np.frombuffer(data, "<f4").reshape(wanted)
        if not np.isfinite(array).all():
            raise self._invalid("logits", "some are NaN or infinite")
        return array

    def offline(self, texts: Sequence[Text]) -> int:
        """Answer all texts at once; return nanoseconds."""
        return int(self._ask(Positive, "offline", texts=list(texts)))

    def paced(self, texts: Sequence[Text], *, gap_s: float) -> Block:
        """Time texts with idle gaps."""
        return self._block("paced", texts, gap_s=gap_s)

    def server(self, texts: Sequence[Text], *, rate_per_s: float, seed: int) -> list[int]:
        """Answer texts at Poisson arrivals; return nanoseconds from each arrival."""
        latencies: list[int] = self._ask(
            list[Count], "server", texts=list(texts), rate_per_s=rate_per_s, seed=seed
        )
        self._check_count("server", len(latencies), texts)
        return latencies

    def growth(self, texts: Sequence[Text], *, calls: int, limit_s: float) -> Growth:
        """Make many varied calls; return the memory around them."""
        growth: Growth = self._ask(Growth, "growth", texts=list(texts), calls=calls, limit_s=limit_s)
        if growth.calls > calls:
            raise self._invalid("growth", f"{growth.calls} calls, {calls} were asked for")
        return growth

    def _block(self, do: str, texts: Sequence[Text], **fields: Any) -> Block:
        block: Block = self._ask(Block, do, texts=list(texts), **fields)
        self._check_count(do, len(block.total_ns), texts)
        return block

    def _check_count(self, do: str, count: int, texts: Sequence[Text]) -> None:
        if count != len(texts):
            raise self._invalid(do, f"{count} times for {len(texts)} texts")
