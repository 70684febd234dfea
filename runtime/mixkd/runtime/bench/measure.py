"""Runs one measurement: a worker per variant, turns in blocks, then quality, then the report."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import MeasureError
from mixkd.metrics import HEADLINE
from mixkd.runtime.bench.config import BenchConfig
from mixkd.runtime.bench.environment import read_environment
from mixkd.runtime.bench.noise import compare_readings, read_counters
from mixkd.runtime.bench.plan import Plan
from mixkd.runtime.bench.processes import WorkerProcess
from mixkd.runtime.bench.quality import truth
from mixkd.runtime.bench.raw import Raw
from mixkd.runtime.bench.report import METHOD, Absent, Report
from mixkd.runtime.bench.sampling import Sample
from mixkd.runtime.bench.summary import reference_of, summarize
from mixkd.runtime.bench.variants import check_names
from mixkd.texts import Corpus

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is done now, how much of it is done, and how much there is."""

_LOGITS_PER_REQUEST = 250


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Show nothing."""


def measure(plan: Plan, *, progress: Progress = no_progress) -> Report:
    """Measure variants against each other on the same texts.

    A variant that doesn't load becomes absent, with the reason; one that fails later ends the measurement.

    Raises:
        DataError: If the data has a label that the bundle hasn't.
        MeasureError: If no variant can be measured.
    """
    check_names(list(plan.variants))
    target = truth(plan.sample.labels, plan.labels, plan.task)  # refuses foreign labels before any work
    environment = read_environment()
    with ExitStack() as stack:
        workers, raws, failed = _start(plan, stack, progress)
        pids = [worker.pid for worker in workers]
        before = read_counters(pids)
        _take_turns(workers, raws, plan, progress)
        noise = compare_readings(before, read_counters(pids), governor=environment.governor)
        _judge_all(workers, raws, plan.sample, progress)
    for raw in raws:
        raw.logits = _in_order(raw, plan.labels)
    rows, steps = summarize(raws, plan, target)
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        title=plan.title,
        task=plan.task.value,
        metric=HEADLINE[plan.task].replace("_", " "),
        labels=len(plan.labels),
        max_length=plan.variants[0].max_length,
        reference=reference_of(raws).variant.name if len(raws) > 1 else None,
        rows=rows,
        absent=(*plan.absent, *failed),
        steps=steps,
        data=_describe_data(plan.corpus, plan.sample),
        config=asdict(plan.config),
        environment=environment,
        noise=noise,
        method=_method(plan.config, plan.sample),
    )


def _start(
    plan: Plan, stack: ExitStack, progress: Progress
) -> tuple[list[WorkerProcess], list[Raw], list[Absent]]:
    """Start and load one worker after the other, so that loading isn't disturbed either."""
    workers, raws, failed = [], [], []
    for number, variant in enumerate(plan.variants):
        progress(f"loading {variant.name}", number, len(plan.variants))
        worker = stack.enter_context(WorkerProcess(variant, threads=plan.config.threads))
        try:
            load = worker.load(plan.sample.texts[plan.sample.timed[0]])
        except MeasureError as error:
            failed.append(Absent(label=variant.name, reason=str(error).removeprefix(f"{variant.name}: ")))
            continue
        workers.append(worker)
        raws.append(Raw(variant, load))
    if not workers:
        raise MeasureError(f"no variant could be measured: {failed[0].label}: {failed[0].reason}")
    return workers, raws, failed


def _take_turns(
    workers: Sequence[WorkerProcess], raws: Sequence[Raw], plan: Plan, progress: Progress
) -> None:
    pairs = list(zip(workers, raws, strict=True))
    sample, config = plan.sample, plan.config
    blocks = sample.blocks(config.block)
    for worker in workers:
        worker.warm([sample.texts[i] for i in sample.timed])
    for number, texts in enumerate(blocks):
        progress("timing single texts", number, len(blocks))
        for worker, raw in _turned(pairs, number):
            raw.blocks.append(worker.time(texts))
    for worker, raw in pairs:  # before longer texts or batches raise the peak
        raw.memory = worker.memory()
    for length, made in sample.curve.items():
        progress("timing by length", length, max(sample.curve))
        for worker in workers:
            worker.warm(made[:1])
        for number in range(0, len(made), config.block):
            for worker, raw in _turned(pairs, number // config.block):
                raw.curve.setdefault(length, []).append(worker.time(made[number : number + config.block]))


def _turned(pairs: list[tuple[WorkerProcess, Raw]], number: int) -> list[tuple[WorkerProcess, Raw]]:
    """Turn the order, so that nobody always runs behind the same neighbour's cache."""
    turn = number % len(pairs)
    return pairs[turn:] + pairs[:turn]


def _judge_all(
    workers: Sequence[WorkerProcess], raws: Sequence[Raw], sample: Sample, progress: Progress
) -> None:
    """Answer every judged row; nothing is timed, so the workers share the cores."""
    total, done = len(workers) * len(sample.texts), 0
    chunks = range(0, len(sample.texts), _LOGITS_PER_REQUEST)

    def answer(worker: WorkerProcess, raw: Raw) -> None:
        nonlocal done
        answers = []
        for start in chunks:
            texts = sample.texts[start : start + _LOGITS_PER_REQUEST]
            answers.append(worker.logits(texts))
            done += len(texts)
            progress("judging answers", done, total)
        raw.logits = np.concatenate(answers)

    with ThreadPoolExecutor(max_workers=max(1, len(os.sched_getaffinity(0)))) as pool:
        for future in [pool.submit(answer, *pair) for pair in zip(workers, raws, strict=True)]:
            future.result()


def _in_order(raw: Raw, labels: Sequence[str]) -> NDArray[np.float32]:
    """Return the logits with their columns in the order of `labels`."""
    assert raw.logits is not None
    own = raw.variant.labels
    if raw.logits.shape[1] != len(own):
        raise MeasureError(f"{raw.variant.name} gives {raw.logits.shape[1]} outputs for {len(own)} labels")
    return raw.logits[:, [own.index(name) for name in labels]]


def _describe_data(corpus: Corpus, sample: Sample) -> dict[str, Any]:
    p50, p90 = np.quantile(sample.lengths, [0.5, 0.9], method="inverted_cdf")
    return {
        "name": corpus.name,
        "split": sample.split,
        "rows": sample.rows,
        "judged_rows": len(sample.texts),
        "sha256": corpus.split(sample.split).fingerprint(),
        "tokens_p50": int(p50),
        "tokens_p90": int(p90),
        "tokens_longest": sample.longest_tokens,
    }


def _method(config: BenchConfig, sample: Sample) -> tuple[str, ...]:
    facts = {
        "threads": config.threads,
        "s": "" if config.threads == 1 else "s",
        "split": sample.split,
        "seed": config.seed,
        "block": config.block,
        "rows": f"{len(sample.texts):,}",
    }
    return tuple(sentence.format(**facts) for sentence in METHOD)
