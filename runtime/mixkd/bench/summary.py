"""Derives every figure of the report from the samples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.measurement import Found, Plan, Raw
from mixkd.bench.report.figures import (
    Bucket,
    CurvePoint,
    Evidence,
    Interval,
    Latency,
    Memory,
    Quality,
    Samples,
    Start,
)
from mixkd.bench.report.intervals import Floats, Resampling, median_interval, median_ratio, quantile
from mixkd.bench.report.quality import judge
from mixkd.bench.report.schema import Row, Step
from mixkd.bench.sampling import length_buckets
from mixkd.bench.variants import Kind, size_bytes

_NS_PER_MS = 1e6

# The steps from the first variant to the last, and what changes in each.
_STEPS = (
    ("runtime", Kind.TEACHER_TORCH, Kind.TEACHER_ONNX),
    ("architecture", Kind.TEACHER_ONNX, Kind.STUDENT_FP32),
    ("precision", Kind.STUDENT_FP32, Kind.STUDENT_INT8),
    ("total", Kind.TEACHER_TORCH, Kind.STUDENT_INT8),
)


def reference_of(raws: Sequence[Raw]) -> Raw:
    """Return the variant that the others are compared with: the first of `Kind`, else the first."""
    order = {kind.value: i for i, kind in enumerate(Kind)}
    return min(raws, key=lambda raw: order.get(raw.variant.name, len(order)))


def summarize(found: Sequence[Found], plan: Plan, right: Floats) -> tuple[tuple[Row, ...], tuple[Step, ...]]:
    """Return the report's rows and the factors of the speed-up.

    Args:
        found: What each target gave, the first with a row at least; logits in the order of the plan's labels.
        plan: The texts that were answered, and how the bootstrap draws.
        right: (N, C), the right answers, as `truth` makes them.
    """
    first = found[0].raws
    rows = tuple(_row(raw, there, first, right, plan) for there in found for raw in there.raws)
    by_name = {raw.variant.name: raw for raw in first if raw.blocks}
    steps = tuple(
        Step(name=name, slower=slow, faster=fast, speed_up=_speed_up(by_name[slow], by_name[fast], plan))
        for name, slow, fast in _STEPS
        if slow in by_name and fast in by_name
    )
    return rows, steps


def _row(raw: Raw, there: Found, first: Sequence[Raw], right: Floats, plan: Plan) -> Row:
    assert there.record is not None
    slowest = reference_of(there.raws)
    comparable = there.record.evidence is Evidence.DEVICE and raw is not slowest
    return Row(
        label=raw.variant.name,
        runtime=raw.variant.runtime,
        precision=raw.variant.precision,
        target=there.record.name,
        evidence=there.record.evidence,
        size_bytes=size_bytes(raw.variant),
        speed_up=_speed_up(slowest, raw, plan) if comparable else None,
        quality=_quality(raw, reference_of(first), right, plan),
        logit_difference=_difference(raw, first),
        latency=_latency(raw, plan) if raw.blocks else None,
        start=_start(raw) if raw.blocks else None,
        memory=_memory(raw) if raw.blocks else None,
        samples=_samples(raw, plan) if raw.blocks else None,
        scenarios=raw.scenarios,
        cold_start=raw.cold_start,
    )


def _start(raw: Raw) -> Start:
    return Start(
        import_ms=raw.load.import_ns / _NS_PER_MS,
        load_ms=raw.load.load_ns / _NS_PER_MS,
        first_answer_ms=raw.load.first_answer_ns / _NS_PER_MS,
    )


def _memory(raw: Raw) -> Memory:
    assert raw.memory is not None
    return Memory(
        baseline_bytes=raw.load.baseline_rss_bytes,
        loaded_bytes=raw.load.loaded_rss_bytes,
        peak_rss_bytes=raw.memory.peak_rss_bytes,
        uss_bytes=raw.memory.uss_bytes,
        pss_bytes=raw.memory.pss_bytes,
        smallest_cap_bytes=raw.smallest_cap_bytes,
    )


def _samples(raw: Raw, plan: Plan) -> Samples:
    return Samples(
        text=plan.sample.first_timed(_total_ms(raw).size),
        total_ns=tuple(ns for block in raw.blocks for ns in block.total_ns),
        tokenize_ns=tuple(ns for block in raw.blocks for ns in block.tokenize_ns),
        cpu_ns=tuple(block.cpu_ns for block in raw.blocks),
    )


def _difference(raw: Raw, first: Sequence[Raw]) -> float | None:
    """Return the largest difference of a logit from the same variant on the first target."""
    twin = next((other for other in first if other.variant.name == raw.variant.name), None)
    if twin is None or twin is raw:
        return None
    logits, others = _shared_answers(raw, twin)
    return float(np.abs(logits - others).max()) if len(logits) else None


def _shared_answers(raw: Raw, other: Raw) -> tuple[Floats, Floats]:
    """Return the logits of both on the rows that both judged; slow targets judge fewer."""
    assert raw.judged is not None
    theirs = _answers_on(raw.judged, other)
    both = ~np.isnan(theirs).any(axis=1)
    return _answers(raw)[both], theirs[both]


def _answers_on(rows: NDArray[np.int64], raw: Raw) -> Floats:
    """Return the logits on some rows, NaN where they weren't asked."""
    assert raw.judged is not None
    answers = _answers(raw)
    found = np.full((len(rows), answers.shape[1]), np.nan)
    _, wanted, there = np.intersect1d(rows, raw.judged, assume_unique=True, return_indices=True)
    found[wanted] = answers[there]
    return found


def _answers(raw: Raw) -> Floats:
    assert raw.logits is not None
    return raw.logits.astype(np.float64)


def _quality(raw: Raw, reference: Raw, right: Floats, plan: Plan) -> Quality:
    assert raw.judged is not None
    return judge(
        _answers(raw),
        right[raw.judged],
        None if raw is reference else _answers_on(raw.judged, reference),
        task=plan.task,
        resampling=_resampling(plan),
    )


def _latency(raw: Raw, plan: Plan) -> Latency:
    sample = plan.sample
    blocks = _total_ms(raw)
    total = blocks.ravel()
    lengths = np.array([sample.lengths[i] for i in sample.first_timed(total.size)])
    cpu_ns = sum(block.cpu_ns for block in raw.blocks)
    return Latency(
        samples=total.size,
        p50_ms=median_interval(blocks, _resampling(plan)),
        p90_ms=quantile(total, 0.9),
        p99_ms=quantile(total, 0.99),
        mean_ms=float(total.mean()),
        min_ms=float(total.min()),
        max_ms=float(total.max()),
        tokenize_p50_ms=float(np.median([ns for b in raw.blocks for ns in b.tokenize_ns])) / _NS_PER_MS,
        cpu_ms_per_text=cpu_ns / _NS_PER_MS / total.size,
        energy_mj_per_text=_energy_mj(raw) / total.size if raw.blocks[0].energy_uj is not None else None,
        buckets=tuple(_bucket(total, lengths, *bounds) for bounds in length_buckets(list(lengths))),
        curve=tuple(
            CurvePoint(
                tokens=length,
                samples=sum(len(block.total_ns) for block in made),
                p50_ms=float(np.median([ns for block in made for ns in block.total_ns])) / _NS_PER_MS,
            )
            for length, made in sorted(raw.curve.items())
        ),
    )


def _energy_mj(raw: Raw) -> float:
    return sum(block.energy_uj or 0 for block in raw.blocks) / 1000


def _bucket(total_ms: Floats, lengths: Floats, low: int, high: int) -> Bucket:
    inside = total_ms[(lengths >= low) & (lengths <= high)]
    return Bucket(low_tokens=low, high_tokens=high, samples=inside.size, p50_ms=float(np.median(inside)))


def _speed_up(slower: Raw, faster: Raw, plan: Plan) -> Interval:
    return median_ratio(_total_ms(slower), _total_ms(faster), _resampling(plan))


def _resampling(plan: Plan) -> Resampling:
    return Resampling(plan.config.resamples, plan.config.seed)


def _total_ms(raw: Raw) -> Floats:
    """Return (blocks, texts per block)."""
    return np.array([block.total_ns for block in raw.blocks]) / _NS_PER_MS
