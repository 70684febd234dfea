"""A played device: answers as an honest worker does, in this process, and forges one of its answers."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np

from mixkd.bench.config import BenchConfig
from mixkd.bench.drive import processes
from mixkd.bench.measurement import Plan
from mixkd.bench.sampling import TokenCounter, draw_sample
from mixkd.bench.variants import OnnxVariant
from mixkd.corpus.corpus import open_corpus
from mixkd.runtime import open_bundle
from tests.fuzz.json_mutants import mutate

_BUNDLE = Path(__file__).parents[1] / "runtime" / "fixtures" / "bundle"
_TEXTS = Path(__file__).parent / "texts"


def make_plan(config: BenchConfig) -> Plan:
    """Return the measurement of two variants on a few texts."""
    bundle = open_bundle(_BUNDLE)
    manifest = bundle.manifest
    assert bundle.fp32_path is not None
    common: dict[str, Any] = {
        "tokenizer": _BUNDLE,
        "max_length": manifest.max_length,
        "labels": manifest.labels,
    }
    corpus = open_corpus(_TEXTS)
    return Plan(
        title="fuzzed",
        variants=(
            OnnxVariant(name="student-fp32", model=bundle.fp32_path, precision="fp32", **common),
            OnnxVariant(name="student-int8", model=bundle.model_path, precision="int8", **common),
        ),
        sample=draw_sample(corpus, config, TokenCounter(bundle)),
        corpus=corpus,
        task=manifest.task,
        labels=manifest.labels,
        config=config,
    )


@contextmanager
def played(rng: Random, forged: int | None) -> Iterator[None]:
    """Let every worker be played; the answer of that number, counted over all of them, is a mutant."""
    device = _Device(rng, forged)
    with mock.patch.object(processes, "Child", side_effect=lambda *_, **__: _Pipes(device)):
        yield


class _Device:
    def __init__(self, rng: Random, forged: int | None) -> None:
        self._rng, self._left = rng, forged

    def answer(self, request: bytes) -> bytes:
        honest = {"ok": _ANSWERS[json.loads(request)["do"]](json.loads(request), self._rng)}
        if self._left is None:
            return json.dumps(honest).encode() + b"\n"
        self._left -= 1
        return _forge(honest, self._rng) if self._left == -1 else json.dumps(honest).encode() + b"\n"


class _Pipes:
    """Has what `processes` uses of a `Child`."""

    def __init__(self, device: _Device) -> None:
        self._device, self._request = device, b""

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, request: bytes) -> None:
        self._request = request

    def read_line(self) -> bytes:
        return self._device.answer(self._request)

    def wait(self) -> int:
        return 255

    def said(self) -> str:
        return "\x1b[2Jlost\n"


def _forge(honest: dict[str, Any], rng: Random) -> bytes:
    """Change the structure of an answer, or the numbers within its base64."""
    if "float32" in str(honest) and rng.random() < 0.5:
        array = np.frombuffer(base64.b64decode(honest["ok"]["float32"]), "<f4").copy()
        array[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45))
        array = array[: rng.choice((array.size, array.size, array.size - 1))]
        honest = {"ok": {**honest["ok"], "float32": base64.b64encode(array.tobytes()).decode()}}
        return json.dumps(honest).encode() + b"\n"
    return mutate(honest, rng) + b"\n"


def _load(request: dict[str, Any], rng: Random) -> dict[str, Any]:
    times = {name: rng.randrange(10**6, 10**9) for name in ("import_ns", "load_ns", "first_answer_ns")}
    return {**times, "baseline_rss_bytes": 2 * 10**7, "loaded_rss_bytes": 5 * 10**7, "pid": 4711}


def _block(request: dict[str, Any], rng: Random) -> dict[str, Any]:
    total = [rng.randrange(10**6, 2 * 10**6) for _ in request["texts"]]
    tokenize = [rng.randrange(10**4, 10**5) for _ in total]
    return {"tokenize_ns": tokenize, "total_ns": total, "cpu_ns": sum(total), "energy_uj": None}


def _logits(request: dict[str, Any], rng: Random) -> dict[str, Any]:
    array = np.array([[rng.gauss(0, 1) for _ in range(5)] for _ in request["texts"]], "<f4")
    return {"shape": array.shape, "float32": base64.b64encode(array.tobytes()).decode()}


def _counters(request: dict[str, Any], rng: Random) -> dict[str, Any]:
    spent = {"busy_s": 5.0, "steal_s": 0.0, "total_s": 9.0, "own_s": 4.0}
    return {**spent, "throttles": 0, "temperature_c": 50.0, "cores": 4, "load_average": 1.0}


def _environment(request: dict[str, Any], rng: Random) -> dict[str, Any]:
    named = {"system": "Linux 6", "machine": "aarch64", "processor": "Raspberry Pi", "isa": ["asimd"]}
    sized = {
        "cores": 4,
        "usable_cores": 4,
        "cpu_quota": None,
        "memory_bytes": 10**9,
        "memory_limit_bytes": None,
    }
    return {**named, **sized, "governor": "ondemand", "versions": {"python": "3.11", "onnxruntime": "1.31"}}


_ANSWERS: dict[str, Any] = {
    "load": _load,
    "warm": lambda request, rng: len(request["texts"]),
    "time": _block,
    "paced": _block,
    "memory": lambda request, rng: {
        "rss_bytes": 6 * 10**7, "peak_rss_bytes": 7 * 10**7, "pss_bytes": 5 * 10**7, "uss_bytes": None
    },
    "logits": _logits,
    "offline": lambda request, rng: rng.randrange(10**6, 10**9),
    "server": lambda request, rng: [rng.randrange(10**6, 10**8) for _ in request["texts"]],
    "growth": lambda request, rng: {"calls": request["calls"], "before_bytes": 7, "after_bytes": 9},
    "counters": _counters,
    "environment": _environment,
}  # fmt: skip
