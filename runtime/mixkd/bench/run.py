"""Measures a bundle against its teacher and its own fp32 student: the function behind `mkd bench`."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mixkd.bench.config import BenchConfig
from mixkd.bench.making import make_variants, other_bundles
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.files import write_report
from mixkd.bench.report.schema import Report
from mixkd.bench.sampling import TokenCounter, draw_sample
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.errors import MeasureError
from mixkd.outputs import fresh_folder
from mixkd.progress import Progress, no_progress
from mixkd.runtime.bundle import open_bundle


def bench(
    bundle: str | Path,
    data: Corpus | str | Path,
    *,
    teacher: str | Path | None = None,
    student: str | Path | None = None,
    output: Path | None = None,
    config: BenchConfig | None = None,
    also: Sequence[Path] = (),
    targets: Sequence[Target] = (LocalTarget(),),
    strict: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Report:
    """Measure latency, memory, size and quality of a bundle, its fp32 student and its teacher.

    The bundle alone needs the base install only. Teacher and student need the extra ``export``; what can't be
    made is listed in the report's `absent` with the reason.

    Args:
        bundle: The bundle.
        data: The texts, or what `open_corpus` takes; the test split is used, else the validation split.
        teacher: The teacher's folder, or its name on the hub; None measures without one.
        student: The student's folder or name; None takes the fp32 graph that the bundle keeps, if it does.
        output: The folder for `report.json`, `report.html` and `report.md`; None writes nothing.
        config: How long and how closely to measure; None takes the defaults.
        also: More bundles of the same labels.
        targets: Where to measure; the first is what the others are compared with.
        strict: Refuse a run that the noise guard marks.
        overwrite: Whether what the output folder holds may be replaced.
        progress: Called with each step.

    Raises:
        BundleError: If a bundle is damaged, or another one has other labels.
        DataError: If the texts can't be read, or have a label that the bundle hasn't.
        OutputError: If the output can't be written.
        MeasureError: If nothing could be measured, or a strict run was disturbed.
    """
    config = config or BenchConfig()
    opened = open_bundle(bundle)
    others = other_bundles(also, opened)
    corpus = data if isinstance(data, Corpus) else open_corpus(data)
    with ExitStack() as stack:
        folder = stack.enter_context(fresh_folder(output, overwrite=overwrite)) if output else None
        sample = draw_sample(corpus, config, TokenCounter(opened))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mkd-bench-")))
        made = make_variants(
            opened,
            teacher=teacher,
            student=student,
            int8=config.teacher_int8,
            scratch=scratch,
            progress=progress,
        )
        plan = Plan(
            title=opened.folder.resolve().name,
            variants=(*made.variants, *others),
            absent=made.absent,
            sample=sample,
            corpus=corpus,
            task=opened.manifest.task,
            labels=opened.manifest.labels,
            config=config,
            targets=tuple(targets),
        )
        report = measure(plan, progress=progress)
        if strict and report.warnings:
            raise MeasureError(f"the run was disturbed: {'; '.join(report.warnings)}; measure again")
        if folder:
            write_report(report, folder)
    return report
