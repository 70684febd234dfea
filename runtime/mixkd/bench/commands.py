"""The commands of the bench."""

from pathlib import Path
from typing import Annotated

import typer

from mixkd.bench.config import PRESETS, BenchConfig
from mixkd.console import say, warn
from mixkd.errors import RegressionError
from mixkd.options import DataInputs, Output, Overwrite, with_options


def register(app: typer.Typer) -> None:
    """Add the bench's commands to `mkd`."""
    app.command("bench")(bench)
    app.command("compare")(compare)
    app.command("targets")(targets)


@with_options(presets=PRESETS, inputs=DataInputs, config=BenchConfig)
def bench(
    bundle: Annotated[Path, typer.Argument(help="The bundle to measure.")],
    *,
    inputs: DataInputs,
    output: Output,
    teacher: Annotated[
        str | None, typer.Option(help="The teacher, to compare with: a folder or a hub name.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(help="The fp32 student: a folder or a hub name [the fp32 graph that the bundle keeps]."),
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="Another bundle of the same labels; may be repeated.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Where to measure; may be repeated (mkd targets lists them) [local]."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a run that was disturbed.")] = False,
    overwrite: Overwrite = False,
    config: BenchConfig,
) -> None:
    """Measure latency, memory, size and quality of a bundle, its student and its teacher."""
    from mixkd.bench.render.cells import absent_name
    from mixkd.bench.render.text import render_table
    from mixkd.bench.run import bench as run
    from mixkd.bench.targets import parse_target
    from mixkd.progress import TerminalProgress

    with TerminalProgress(lines=True) as progress:
        report = run(
            bundle,
            inputs.open(),
            teacher=teacher,
            student=student,
            also=tuple(also or ()),
            output=output,
            config=config,
            targets=tuple(parse_target(word) for word in target or ["local"]),
            strict=strict,
            overwrite=overwrite,
            progress=progress,
        )
    say(*render_table(report))
    for absent in report.absent:
        warn(f"{absent_name(absent)} is absent: {absent.reason}")
    for warning in report.warnings:
        warn(f"noisy run: {warning}")
    say(f"report: {output / 'report.html'}")


def compare(
    old: Annotated[Path, typer.Argument(help="The report.json that was good.")],
    new: Annotated[Path, typer.Argument(help="The report.json that is asked about.")],
    max_regression: Annotated[
        str, typer.Option(help="Growth of latency, memory and size that is allowed.")
    ] = "5%",
) -> None:
    """Compare two reports; exit code 4 if something became worse beyond noise."""
    from mixkd.bench.compare import compare_reports, parse_share
    from mixkd.bench.render.text import render_comparison
    from mixkd.bench.report.files import read_report

    allowed = parse_share(max_regression)
    comparison = compare_reports(read_report(old), read_report(new), max_regression=allowed)
    say(*render_comparison(comparison))
    if comparison.regressions:
        worst = comparison.regressions[0]
        count = len(comparison.regressions)
        raise RegressionError(f"regressions: {count}, the first one {worst.name} of {worst.label}")


def targets() -> None:
    """List where this machine can measure, and what the rest needs."""
    from mixkd.bench.render.text import align
    from mixkd.bench.targets import list_targets

    rows = [
        (t.name, t.evidence, t.note, f"needs {t.missing}" if t.missing else "ready") for t in list_targets()
    ]
    say(*align([("target", "evidence", "what", "state"), *rows], left=4))
