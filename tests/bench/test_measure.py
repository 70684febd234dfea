import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.schema import Report, Row
from mixkd.bench.targets.base import LocalTarget
from mixkd.errors import MeasureError
from mixkd.runtime import Classifier


def row(report: Report, label: str) -> Row:
    found = report.row(label)
    assert found is not None
    return found


def test_every_variant_is_a_row_or_absent_with_its_reason(report: Report) -> None:
    assert [r.label for r in report.rows] == ["teacher-torch", "student-fp32", "student-int8"]
    reasons = {absent.label: absent.reason for absent in report.absent}
    assert reasons["teacher-onnx"] == "no teacher given"
    assert "config.json" in reasons["broken"]


def test_known_waiting_time_is_in_the_latency_and_split_out(report: Report) -> None:
    latency = row(report, "teacher-torch").latency
    assert latency is not None
    assert latency.tokenize_p50_ms >= 2
    assert latency.min_ms >= 5
    assert latency.cpu_ms_per_text < latency.p50_ms.value


def test_every_sample_is_kept_and_the_figures_follow_from_them(report: Report, plan: Plan) -> None:
    for r in report.rows:
        assert r.samples is not None
        assert r.latency is not None
        assert r.samples.text == plan.sample.timed
        assert len(r.samples.total_ns) == len(r.samples.tokenize_ns) == r.latency.samples == 64
        total_ms = np.array(r.samples.total_ns) / 1e6
        assert r.latency.p50_ms.value == pytest.approx(np.median(total_ms))
        assert r.latency.p50_ms.low <= r.latency.p50_ms.value <= r.latency.p50_ms.high
        assert r.latency.p90_ms in total_ms
        assert r.latency.p99_ms is None
        assert sum(bucket.samples for bucket in r.latency.buckets) == 64


def test_speed_up_is_the_ratio_of_the_medians(report: Report) -> None:
    slow, fast = row(report, "teacher-torch"), row(report, "student-int8")
    assert slow.latency is not None
    assert fast.latency is not None
    assert fast.speed_up is not None
    assert slow.speed_up is None
    assert fast.speed_up.value == pytest.approx(slow.latency.p50_ms.value / fast.latency.p50_ms.value)
    assert [step.name for step in report.steps] == ["precision", "total"]


def test_int8_is_judged_as_the_classifier_answers(report: Report, bundle: Path, plan: Plan) -> None:
    classifier = Classifier.load(bundle, threads=1)
    right = sum(
        classifier.predict(text).label == label
        for text, label in zip(plan.sample.texts, plan.sample.labels, strict=True)
    )
    headline = row(report, "student-int8").quality.headline
    assert headline is not None
    assert headline.value == right / len(plan.sample.texts) == 1 - 1 / len(plan.sample.texts)


def test_memory_rises_from_bare_python_to_the_peak(report: Report) -> None:
    for r in report.rows:
        memory = r.memory
        assert memory is not None
        assert memory.baseline_bytes is not None
        assert memory.loaded_bytes is not None
        assert memory.peak_rss_bytes is not None
        assert 0 < memory.baseline_bytes < memory.loaded_bytes <= memory.peak_rss_bytes
        assert 0 < (memory.uss_bytes or 0) <= (memory.pss_bytes or 0) <= memory.peak_rss_bytes


def test_size_is_that_of_the_weight_files(report: Report, bundle: Path) -> None:
    int8 = bundle / "onnx" / "model_quantized.onnx"
    assert row(report, "student-int8").size_bytes == int8.stat().st_size
    assert row(report, "teacher-torch").size_bytes == 1000


def test_curve_has_a_median_for_every_length(report: Report, plan: Plan) -> None:
    for r in report.rows:
        assert r.latency is not None
        assert [point.tokens for point in r.latency.curve] == list(plan.sample.curve)
        assert all(point.samples == plan.config.curve_samples for point in r.latency.curve)


def test_nothing_measurable_is_an_error_that_says_why(plan: Plan) -> None:
    broken = tuple(variant for variant in plan.variants if variant.name == "broken")
    with pytest.raises(MeasureError, match="no variant could be measured: broken"):
        measure(replace(plan, variants=broken))


def test_worker_that_dies_is_named_with_its_last_words(plan: Plan) -> None:
    variant = next(variant for variant in plan.variants if variant.name == "student-int8")
    with WorkerProcess(variant, LocalTarget(), threads=1) as worker:
        worker.load("hello")
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(MeasureError, match="student-int8: signal 9"):
            worker.time(["hello"])


def test_workers_answer_in_processes_of_their_own(plan: Plan) -> None:
    variant = next(variant for variant in plan.variants if variant.name == "student-int8")
    with (
        WorkerProcess(variant, LocalTarget(), threads=1) as first,
        WorkerProcess(variant, LocalTarget(), threads=1) as second,
    ):
        first.load("hello")
        second.load("hello")
        assert first.pid != second.pid
        one, two = (worker.logits(["my money", "paris"]) for worker in (first, second))
        assert one.shape == (2, 5)
        assert np.array_equal(one, two)
