"""How long a measurement takes turns, on a variant that takes at least 5 ms a text."""

from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.bench.drive.turns import LEAST_JUDGED
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.schema import Row


@pytest.fixture
def slow(plan: Plan, slow_model: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("PYTHONPATH", str(slow_model))
    sleeper = tuple(variant for variant in plan.variants if variant.name == "teacher-torch")
    sample = replace(plan.sample, timed=plan.sample.timed[:16], curve={})
    return replace(plan, variants=sleeper, sample=sample, config=replace(plan.config, samples=16, block=8))


def row(plan: Plan) -> Row:
    (row,) = measure(plan).rows
    return row


def test_timing_goes_on_for_the_least_time(slow: Plan) -> None:
    found = row(replace(slow, config=replace(slow.config, min_seconds=0.3)))
    assert found.samples is not None
    assert found.latency is not None
    assert sum(found.samples.total_ns) >= 0.3e9
    count = len(found.samples.total_ns)
    assert count > 16
    # The texts begin again: equal positions are equal texts.
    assert found.samples.text == tuple(slow.sample.timed[i % 16] for i in range(count))
    assert sum(bucket.samples for bucket in found.latency.buckets) == found.latency.samples == count


def test_timing_stops_when_the_time_is_up_but_has_a_p90(slow: Plan) -> None:
    found = row(replace(slow, config=replace(slow.config, samples=4096, max_seconds=0.05)))
    assert found.latency is not None
    assert found.latency.samples == 64
    assert found.latency.p90_ms is not None


def test_slow_variant_is_judged_on_fewer_rows_in_the_same_time(slow: Plan) -> None:
    texts, labels = slow.sample.texts * 4, slow.sample.labels * 4
    sample = replace(slow.sample, texts=texts, labels=labels, lengths=slow.sample.lengths * 4)
    report = measure(replace(slow, sample=sample, config=replace(slow.config, judge_seconds=0.1)))
    assert len(texts) > LEAST_JUDGED
    assert report.rows[0].quality.rows == report.data.judged_rows == LEAST_JUDGED
