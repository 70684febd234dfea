"""`mkd bench`: has the variants measured that a bundle and its teacher allow."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from mixkd.bench.config import BenchConfig
from mixkd.bench.measure import measure
from mixkd.bench.plan import Plan
from mixkd.bench.progress import Progress, no_progress
from mixkd.bench.report.schema import Report
from mixkd.bench.report.writing import write_report
from mixkd.bench.sampling import TokenCounter, draw_sample
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.corpus.corpus import Corpus
from mixkd.errors import MeasureError
from mixkd.outputs import fresh_folder
from mixkd.pipeline.bench_variants import VariantMaker
from mixkd.runtime.bundle import open_bundle


def bench_bundle(
    bundle: Path,
    *,
    teacher: Path | None,
    student: Path | None,
    corpus: Corpus,
    output: Path | None,
    config: BenchConfig,
    also: tuple[Path, ...] = (),
    targets: tuple[Target, ...] = (LocalTarget(),),
    strict: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Report:
    """Measure a bundle against its teacher and its own fp32 student.

    Args:
        bundle: The bundle.
        teacher: The teacher's folder; None measures without one.
        student: The student's folder; None takes the one the bundle's manifest names, if it still stands.
        corpus: The texts; its test split, else its validation split.
        output: Where `report.json`, `report.html` and `report.md` go; None writes nothing.
        config: How long and how closely.
        also: More bundles of the same labels.
        targets: Where to measure; the first is what the others are compared with.
        strict: Refuse a run that the noise guard marks.
        overwrite: Whether what the output folder holds may be replaced.
        progress: Told how far it is.

    Returns:
        The report; a variant that couldn't be made stands in `absent` with the reason.

    Raises:
        BundleError: If the bundle is damaged.
        OutputError: If the output can't be written.
        MeasureError: If nothing could be measured, or a strict run was disturbed.
    """
    opened = open_bundle(bundle)
    manifest = opened.manifest
    with ExitStack() as stack:
        folder = stack.enter_context(fresh_folder(output, overwrite=overwrite)) if output else None
        counter = TokenCounter(opened.tokenizer_path, manifest.max_length)
        sample = draw_sample(corpus, config, counter)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="mkd-bench-"))
        maker = VariantMaker(opened, teacher=teacher, student=student, scratch=Path(scratch))
        variants, absent = maker.make(progress, teacher_int8=config.teacher_int8)
        variants += [maker.other_bundle(folder) for folder in also]
        plan = Plan(
            title=bundle.resolve().name,
            variants=tuple(variants),
            absent=tuple(absent),
            sample=sample,
            corpus=corpus,
            task=manifest.task,
            labels=manifest.labels,
            config=config,
            targets=targets,
        )
        report = measure(plan, progress=progress)
        if strict and report.warnings:
            raise MeasureError(f"the run was disturbed: {'; '.join(report.warnings)}; measure again")
        if folder:
            write_report(report, folder)
    return report
