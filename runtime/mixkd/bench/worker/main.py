"""The process that one variant is measured in, spoken to in JSON lines over its standard pipes.

Started as ``python -m mixkd.bench.worker.main``. Each line on standard input is a request
``{"do": ..., ...}``, each line of the answer is ``{"ok": ...}`` or ``{"error": ...}``. Between requests the
process waits on a read and costs nothing, so that several workers can exist while one is timed.
"""

import base64
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, TextIO

from mixkd.bench.worker.counters import read_memory
from mixkd.errors import MkdError

# Read before the engine is imported.
BASELINE = read_memory()

Handler = Callable[[dict[str, Any]], Any]


class Worker:
    """One loaded variant and the requests it answers."""

    def __init__(self) -> None:
        self._subject: Any = None

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Import, load and answer once, each timed by the clock of `timing`."""
        from mixkd.bench import variants
        from mixkd.bench.worker import subjects
        from mixkd.bench.worker.replies import Loading

        variant = variants.from_json(request["variant"])
        started = time.perf_counter_ns()
        subjects.import_packages(variant)
        imported = time.perf_counter_ns()
        self._subject = subjects.load(variant, threads=request["threads"])
        loaded = time.perf_counter_ns()
        after_load = read_memory()
        first = time.perf_counter_ns()
        self._subject.answer(self._subject.encode(_text(request["first"])))
        answered = time.perf_counter_ns()
        loading = Loading(
            import_ns=imported - started,
            load_ns=loaded - imported,
            first_answer_ns=answered - first,
            baseline_rss_bytes=BASELINE.rss_bytes,
            loaded_rss_bytes=after_load.rss_bytes,
            pid=os.getpid(),
        )
        return asdict(loading)

    def warm(self, request: dict[str, Any]) -> int:
        """Warm every length of the texts."""
        from mixkd.bench.worker.timing import warm_up

        return warm_up(self._subject, _texts(request))

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Time one block of texts; energy is read outside of it."""
        from mixkd.bench.worker.counters import read_energy_uj, spent_uj
        from mixkd.bench.worker.timing import time_block

        before = read_energy_uj()
        block = time_block(self._subject, _texts(request))
        return asdict(replace(block, energy_uj=spent_uj(before, read_energy_uj())))

    def memory(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Read the memory, PSS and USS too."""
        return asdict(read_memory(detailed=True))

    def logits(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer texts, untimed; float32 as base64, so that nothing is rounded on the way."""
        import numpy as np

        from mixkd.bench.worker.replies import Logits

        array = np.ascontiguousarray(self._subject.logits(_texts(request)), "<f4")
        return asdict(Logits(shape=array.shape, float32=base64.b64encode(array.tobytes()).decode("ascii")))

    def offline(self, request: dict[str, Any]) -> int:
        """Answer all texts, handed over at once."""
        from mixkd.bench.worker.scenarios import run_offline

        return run_offline(self._subject, _texts(request))

    def paced(self, request: dict[str, Any]) -> dict[str, Any]:
        """Time texts with idle gaps."""
        from mixkd.bench.worker.scenarios import run_paced

        return asdict(run_paced(self._subject, _texts(request), gap_s=request["gap_s"]))

    def server(self, request: dict[str, Any]) -> list[int]:
        """Answer texts at random arrivals."""
        from mixkd.bench.worker.scenarios import run_server

        rate, seed = request["rate_per_s"], request["seed"]
        return run_server(self._subject, _texts(request), rate_per_s=rate, seed=seed)

    def growth(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make many varied calls and watch the memory."""
        from mixkd.bench.worker.scenarios import measure_growth

        calls, limit_s = request["calls"], request["limit_s"]
        return asdict(measure_growth(self._subject, _texts(request), calls=calls, limit_s=limit_s))

    def counters(self, request: dict[str, Any]) -> dict[str, Any]:
        """Read what the whole machine has done so far; this process only observes, and isn't another one."""
        from mixkd.bench.worker.machine import read_counters

        return asdict(read_counters([*request["pids"], os.getpid()]))

    def environment(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Describe this machine."""
        from mixkd.bench.drive.environment import read_environment

        return asdict(read_environment())


def _texts(request: dict[str, Any]) -> list[Any]:
    return [_text(text) for text in request["texts"]]


def _text(value: Any) -> Any:
    # JSON has no tuples: a pair of texts travels as a list.
    return tuple(value) if isinstance(value, list) else value


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer requests until the pipe closes."""
    worker = Worker()
    handlers: dict[str, Handler] = {
        handler.__name__: handler
        for handler in (
            worker.load,
            worker.warm,
            worker.time,
            worker.memory,
            worker.logits,
            worker.offline,
            worker.paced,
            worker.server,
            worker.growth,
            worker.counters,
            worker.environment,
        )
    }
    for line in requests:
        request = json.loads(line)
        try:
            reply = {"ok": handlers[request["do"]](request)}
        except MkdError as error:
            reply = {"error": str(error)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Serve on the standard pipes; whatever a library prints goes to standard error.

    A number as the only argument is the seconds after which the process ends, whatever it does: a device that
    lost its connection isn't left with a worker that never ends.
    """
    if sys.argv[1:] and hasattr(signal, "alarm"):
        signal.alarm(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, replies)


if __name__ == "__main__":
    main()
