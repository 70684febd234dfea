"""Invalid answers of a worker: one line, and no number of them is used."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from mixkd.bench.drive.processes import Observer, WorkerProcess
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.variants import Variant
from mixkd.errors import MeasureError

TEXTS = ["one", "two", "three"]
BLOCK = {"tokenize_ns": [1, 1, 1], "total_ns": [2, 3, 4], "cpu_ns": 9, "energy_uj": None}


class Forged(WorkerProcess):
    """A worker without a process: its answer is given."""

    def __init__(self, variant: Variant, answer: bytes) -> None:
        self.name, self._target, self._answer = variant.name, LocalTarget(), answer
        self.variant, self._prepared, self._threads = variant, variant, 1

    def _exchange(self, request: bytes) -> bytes:
        return self._answer


class ForgedObserver(Observer):
    """An observer without a process."""

    def __init__(self, answer: bytes) -> None:
        self.name, self._target, self._answer = "local", LocalTarget(), answer

    def _exchange(self, request: bytes) -> bytes:
        return self._answer


def logits(array: Any) -> dict[str, Any]:
    found = np.asarray(array, np.float32)
    return {"shape": found.shape, "float32": base64.b64encode(found.tobytes()).decode()}


@pytest.fixture
def forge(int8: Variant) -> Any:
    return lambda answer: Forged(int8, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"total_ns": [2, 3]}, "3 tokenize_ns for 2 total_ns"),
        ({"tokenize_ns": [1], "total_ns": [2]}, "1 times for 3 texts"),
        ({"total_ns": [2, 3, 0]}, r"total_ns\[2\] is 0"),
        ({"total_ns": [2, -3, 4]}, r"total_ns\[1\] is -3"),
        ({"total_ns": [2, True, 4]}, r"total_ns\[1\] is True, not an integer"),
        ({"total_ns": [2, 3.5, 4]}, r"total_ns\[1\] is 3\.5, not an integer"),
        ({"total_ns": [2, 10**30, 4]}, r"total_ns\[1\] is a huge integer"),
        ({"tokenize_ns": [5, 1, 1]}, "a tokenize_ns is larger than its total_ns"),
        ({"cpu_ns": -1}, "cpu_ns is -1"),
        ({"cpu_ns": None}, "cpu_ns is None"),
        ({"energy_uj": float("nan")}, "NaN is no number"),
        ({"energy_uj": -5}, "energy_uj is -5"),
    ],
)
def test_impossible_times_are_refused(forge: Any, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(
        MeasureError, match=f"^student-int8: local gave an invalid answer to 'time': .*{said}"
    ):
        forge({"ok": BLOCK | fields}).time(TEXTS)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (logits(np.zeros((3, 4))), r"its shape is \(3, 4\), not \(3, 5\)"),
        (logits(np.zeros((2, 5))), r"its shape is \(2, 5\), not \(3, 5\)"),
        (logits(np.zeros(15)), r"its shape is \(15,\), not \(3, 5\)"),
        (logits(np.zeros((3, 5))) | {"shape": [3, -5]}, r"shape\[1\] is -5"),
        (logits(np.zeros((3, 4))) | {"shape": [3, 5]}, "48 bytes don't hold the shape"),
        (logits(np.zeros((3, 5))) | {"float32": "AAA*"}, "it is not base64"),
        (logits(np.zeros((3, 5))) | {"float32": "é"}, "it is not base64"),
        (logits(np.full((3, 5), np.nan)), "some are NaN or infinite"),
        (logits(np.array([[0, 0, 0, 0, np.inf]] * 3)), "some are NaN or infinite"),
        ([], "logits is a list"),
    ],
)
def test_impossible_logits_are_refused(forge: Any, reply: Any, said: str) -> None:
    with pytest.raises(
        MeasureError, match=f"^student-int8: local gave an invalid answer to 'logits': .*{said}"
    ):
        forge({"ok": reply}).logits(TEXTS)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\n", "it is not JSON"),
        (b"\n", "it is not JSON"),
        (b"Welcome to this board!\n", "it is not JSON"),
        (b"[]", "neither an answer nor an error"),
        (b"{}", "neither an answer nor an error"),
        (b'{"ok": 1, "error": "x"}', "neither an answer nor an error"),
        (b'{"error": 5}', "the error is 5, not a text"),
        (b'{"ok": {"pid": 1}}', "load has no import_ns"),
    ],
)
def test_answer_that_is_none_is_refused(forge: Any, answer: bytes, said: str) -> None:
    with pytest.raises(
        MeasureError, match=f"^student-int8: local gave an invalid answer to 'load': .*{said}"
    ):
        forge(answer).load("hello")


def test_error_of_a_worker_is_one_short_line(forge: Any) -> None:
    error = "\x1b[2Jcan't\nload " + "x" * 100_000
    with pytest.raises(MeasureError) as caught:
        forge({"error": error}).warm(TEXTS)
    assert str(caught.value).startswith(r"student-int8: \x1b[2Jcan't\nload xxx")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("ask", "ok", "said"),
    [
        (lambda w: w.offline(TEXTS), 0, "'offline': .*is 0"),
        (lambda w: w.offline(TEXTS), [1], "'offline': .*is a list"),
        (lambda w: w.server(TEXTS, rate_per_s=1.0, seed=0), [1, 2], "2 times for 3 texts"),
        (lambda w: w.server(TEXTS, rate_per_s=1.0, seed=0), [1, 2, -1], r"\[2\] is -1"),
        (lambda w: w.growth(TEXTS, calls=5, limit_s=1.0), [6, None, None], "growth is a list"),
        (
            lambda w: w.growth(TEXTS, calls=5, limit_s=1.0),
            {"calls": 6, "before_bytes": None, "after_bytes": None},
            "6 calls, 5 were asked for",
        ),
        (lambda w: w.memory(), {"rss_bytes": -1, "peak_rss_bytes": 1}, r"memory\.rss_bytes is -1"),
    ],
)
def test_other_impossible_answers_are_refused(forge: Any, ask: Any, ok: Any, said: str) -> None:
    with pytest.raises(MeasureError, match=f"^student-int8: local gave an invalid answer to .*{said}"):
        ask(forge({"ok": ok}))


@pytest.mark.parametrize(
    ("ask", "ok", "said"),
    [
        (lambda o: o.counters([1]), {"busy_s": -1.0}, r"counters\.busy_s is -1\.0"),
        (lambda o: o.counters([1]), None, "counters is None, not an object"),
        (lambda o: o.environment(), {"system": 1}, r"environment\.system is 1, not a text"),
    ],
)
def test_impossible_answers_of_an_observer_are_refused(ask: Any, ok: Any, said: str) -> None:
    with pytest.raises(MeasureError, match=f"^local: local gave an invalid answer to .*{said}"):
        ask(ForgedObserver(json.dumps({"ok": ok}).encode()))
