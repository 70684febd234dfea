"""Runs one measurement on every target and puts the report together."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.config import BenchConfig
from mixkd.bench.drive.turns import measure_on
from mixkd.bench.measurement import Plan, Raw
from mixkd.bench.report.quality import truth
from mixkd.bench.report.schema import DataRecord, Report
from mixkd.bench.sampling import Sample
from mixkd.bench.summary import reference_of, summarize
from mixkd.bench.variants import check_names
from mixkd.corpus.corpus import Corpus
from mixkd.errors import MeasureError
from mixkd.metrics import HEADLINE
from mixkd.progress import Progress, no_progress

_METHOD = (
    "Each variant runs in a process of its own, started for this report, with {threads} thread{s} per call "
    "for every engine. Latency is the time from one text to its logits, tokenization included, read from one "
    "monotonic clock; tokenization is also given alone.",
    "ONNX variants are what an export gives, graph rewrites included; PyTorch runs as transformers loads it, "
    "in eval and inference mode with SDPA attention.",
    "The timed texts are drawn from the {split} split with seed {seed}, in its own mix of lengths. Variants "
    "are timed in turns of {block} texts (A B, then B A, and so on) while the others wait; every input "
    "length is warmed up first; the garbage collector is off during a turn. All samples are in report.json.",
    "p90 is given from 64 samples on, p99 from 662 (MLPerf's rule); a dash means too few samples. Intervals "
    "cover 95 %: bootstrap over whole turns for latencies and ratios, Wilson for shares.",
    "Peak memory is the most resident memory of the process (VmHWM on Linux) after answering texts one at a "
    "time, Python and the engine included. Size is that of the weight files only: the .onnx file or the "
    ".safetensors; neither the tokenizer nor the packages are counted.",
    "Evidence: on a device, every figure is the device's own. On a capped host, memory and answers hold for "
    "the device, but latency is this processor's. An emulated processor gives answers only.",
    "Accuracy and agreement are measured on {rows} rows. int8 variants answer them one text at a time, as "
    "an app does, because dynamic quantization scales a batch as a whole.",
)


def measure(plan: Plan, *, progress: Progress = no_progress) -> Report:
    """Measure variants against each other on the same texts, on one target after the other.

    A variant that fails becomes absent, with the reason; so does a target that can't be reached.

    Raises:
        DataError: If the data has a label that the bundle hasn't.
        MeasureError: If no variant can be measured on the first target that can be reached.
    """
    check_names(list(plan.variants))
    right = truth(plan.sample.labels, plan.labels, plan.task)  # refuses foreign labels before any work
    everything = [measure_on(target, plan, progress) for target in plan.targets]
    absent = (*plan.absent, *(absent for there in everything for absent in there.absent))
    found = [there for there in everything if there.raws]
    if not found:
        first = everything[0].absent[0]
        raise MeasureError(f"no variant could be measured: {first.label or first.target}: {first.reason}")
    for there in found:
        for raw in there.raws:
            raw.logits = _in_order(raw, plan.labels)
    rows, steps = summarize(found, plan, right)
    judged = max(row.quality.rows for row in rows)
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        title=plan.title,
        task=plan.task.value,
        metric=HEADLINE[plan.task],
        labels=len(plan.labels),
        max_length=plan.variants[0].max_length,
        reference=reference_of(found[0].raws).variant.name if len(found[0].raws) > 1 else None,
        rows=rows,
        absent=absent,
        steps=steps,
        data=_describe_data(plan.corpus, plan.sample, judged=judged),
        config=plan.config,
        targets=tuple(there.record for there in found if there.record),
        method=method_of(plan.config, split=plan.sample.split, rows=f"{judged:,}"),
    )


def _in_order(raw: Raw, labels: Sequence[str]) -> NDArray[np.float32]:
    """Return the logits with their columns in the order of `labels`."""
    assert raw.logits is not None
    own = raw.variant.labels
    if raw.logits.shape[1] != len(own):
        raise MeasureError(f"{raw.variant.name} gives {raw.logits.shape[1]} outputs for {len(own)} labels")
    return raw.logits[:, [own.index(name) for name in labels]]


def _describe_data(corpus: Corpus, sample: Sample, *, judged: int) -> DataRecord:
    p50, p90 = np.quantile(sample.lengths, [0.5, 0.9], method="inverted_cdf")
    return DataRecord(
        name=corpus.name,
        split=sample.split,
        rows=sample.rows,
        judged_rows=judged,
        sha256=corpus.split(sample.split).fingerprint(),
        tokens_p50=int(p50),
        tokens_p90=int(p90),
        tokens_longest=sample.longest_tokens,
    )


def method_of(config: BenchConfig, *, split: str, rows: str) -> tuple[str, ...]:
    """Return how the numbers are taken, in sentences.

    Args:
        config: The options.
        split: The split of the texts.
        rows: How many rows are judged, in digits or words.
    """
    facts = {
        "threads": config.threads,
        "s": "" if config.threads == 1 else "s",
        "split": split,
        "seed": config.seed,
        "block": config.block,
        "rows": rows,
    }
    return tuple(sentence.format(**facts) for sentence in _METHOD)
