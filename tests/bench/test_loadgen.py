"""The timing core against MLPerf's own load generator on the same session."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mixkd.bench.measurement import Plan
from mixkd.bench.worker.subjects import load
from mixkd.bench.worker.timing import time_block, warm_up
from tests.tools import unavailable

try:
    import mlperf_loadgen as loadgen
except ImportError:
    unavailable("needs mlcommons-loadgen: pip install mlcommons-loadgen")
pytestmark = pytest.mark.alone

TEXT = "send my money to the account what is the weather in paris today wake me up at seven please"
REPEATS = 20
"""Texts per query: the tiny model answers in the time that one call from C++ into Python takes."""


class Repeated:
    """The real session, asked many times per query."""

    def __init__(self, subject: Any) -> None:
        self._subject = subject

    def encode(self, text: Any) -> Any:
        return self._subject.encode(text)

    def answer(self, encoded: Any) -> NDArray[Any]:
        for _ in range(REPEATS):
            answer: NDArray[Any] = self._subject.answer(encoded)
        return answer

    def input_length(self, encoded: Any) -> int:
        return int(self._subject.input_length(encoded))

    def logits(self, texts: Any) -> NDArray[Any]:
        return np.stack([self.answer(self.encode(text))[0] for text in texts])


def loadgen_p50_ms(subject: Repeated, queries: int, folder: Path) -> float:
    """Run SingleStream and return the median of its own summary."""

    def issue(samples: Any) -> None:
        for sample in samples:
            subject.answer(subject.encode(TEXT))
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.SingleStream
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = 0
    outputs = loadgen.LogOutputSettings()
    outputs.outdir = str(folder)
    logs = loadgen.LogSettings()
    logs.log_output = outputs
    system = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(1, 1, lambda _: None, lambda _: None)
    try:
        loadgen.StartTestWithLogSettings(system, library, settings, logs)
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
    summary = (folder / "mlperf_log_summary.txt").read_text(encoding="utf-8")
    (line,) = [line for line in summary.splitlines() if line.startswith("50.00 percentile latency")]
    return float(line.split(":")[1]) / 1e6


@pytest.mark.slow
def test_single_stream_agrees_with_loadgen_within_a_tenth(plan: Plan, tmp_path: Path) -> None:
    variant = next(variant for variant in plan.variants if variant.name == "student-fp32")
    subject = Repeated(load(variant, threads=1))
    warm_up(subject, [TEXT])
    ours, theirs = [], []
    for turn in range(5):  # in turns, so that a busy machine disturbs both alike
        ours.append(float(np.median(time_block(subject, [TEXT] * 200).total_ns)) / 1e6)
        folder = tmp_path / str(turn)
        folder.mkdir()
        theirs.append(loadgen_p50_ms(subject, 200, folder))
    assert np.median(np.array(ours) / np.array(theirs)) == pytest.approx(1, abs=0.1)
