"""The commands of the bench: bench, compare, targets."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixkd.bench.config import PRESETS, BenchConfig
from mixkd.console import answer, warn
from mixkd.errors import RegressionError
from mixkd.options import DataInputs, Group
from mixkd.parameters import Json, Output, Overwrite, with_options
from mixkd.usage import add_command

if TYPE_CHECKING:
    from mixkd.bench.report.schema import Report


def register(app: typer.Typer) -> None:
    """Add the bench's commands to `mkd`."""
    add_command(app, "bench", bench)
    add_command(app, "compare", compare)
    add_command(app, "targets", targets)


@with_options(config_file=True, presets=PRESETS, inputs=DataInputs, config=BenchConfig)
def bench(
    bundle: Annotated[Path, typer.Argument(help="The bundle to measure.")],
    *,
    inputs: DataInputs,
    output: Output,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Also measure the teacher: a folder or a hub name.", rich_help_panel=Group.VARIANTS
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            help="The fp32 student: a folder or a hub name [default: the fp32 graph that the bundle keeps].",
            rich_help_panel=Group.VARIANTS,
        ),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another bundle with the same labels; may be repeated.", rich_help_panel=Group.VARIANTS
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Where to measure, see mkd targets; may be repeated [default: local].",
            rich_help_panel=Group.MEASUREMENT,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Refuse a measurement that was disturbed.", rich_help_panel=Group.MEASUREMENT
        ),
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
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
    for absent in report.absent:
        warn(f"{absent_name(absent)} is absent: {absent.reason}")
    for warning in report.warnings:
        warn(f"noisy run: {warning}")
    answer(
        {"report": output, **summary(report)},
        *render_table(report),
        f"report: {output / 'report.html'}",
        as_json=as_json,
    )


def summary(report: "Report") -> dict[str, Any]:
    """Return a report as `--json` prints it: all but the single timings, which stand in `report.json`."""
    body = asdict(report)
    for row in body["rows"]:
        del row["samples"]
    return body


def compare(
    old: Annotated[Path, typer.Argument(help="The report.json to compare with.")],
    new: Annotated[Path, typer.Argument(help="The report.json that may be worse.")],
    max_regression: Annotated[
        str,
        typer.Option(help="How much latency, memory and size may grow.", rich_help_panel=Group.MEASUREMENT),
    ] = "5%",
    as_json: Json = False,
) -> None:
    """Compare two reports; the exit code is 4 if a figure is worse than noise explains."""
    from mixkd.bench.compare import compare_reports, parse_share
    from mixkd.bench.render.text import render_comparison
    from mixkd.bench.report.files import read_report

    allowed = parse_share(max_regression)
    comparison = compare_reports(read_report(old), read_report(new), max_regression=allowed)
    answer(comparison, *render_comparison(comparison), as_json=as_json)
    if comparison.regressions:
        worst = comparison.regressions[0]
        count = len(comparison.regressions)
        raise RegressionError(f"regressions: {count}, the first one {worst.name} of {worst.label}")


def targets(as_json: Json = False) -> None:
    """List the targets that this machine can measure on, and what the others need."""
    from mixkd.bench.render.text import align
    from mixkd.bench.targets import list_targets

    listed = list_targets()
    rows = [(t.name, t.evidence, t.note, f"needs {t.missing}" if t.missing else "ready") for t in listed]
    lines = align([("target", "evidence", "what", "state"), *rows], left=4)
    answer(listed, *lines, as_json=as_json)
