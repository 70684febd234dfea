"""The commands of the bench: bench, compare, targets."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixkd.bench.config import PRESETS, BenchConfig
from mixkd.bench.inputs import BenchInputs
from mixkd.console import answer, warn
from mixkd.errors import RegressionError
from mixkd.options import Group
from mixkd.parameters import Json, with_options
from mixkd.usage import add_command

if TYPE_CHECKING:
    from mixkd.bench.report.schema import Report


def register(app: typer.Typer) -> None:
    """Add the bench's commands to `mkd`."""
    add_command(app, "bench", bench)
    add_command(app, "compare", compare)
    add_command(app, "targets", targets)


@with_options(config_file=True, presets=PRESETS, inputs=BenchInputs, config=BenchConfig)
def bench(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle to measure.")],
    inputs: BenchInputs,
    config: BenchConfig,
    as_json: Json = False,
) -> None:
    """Measure latency, memory, size and quality of a bundle, its student and its teacher."""
    from mixkd.bench.render.cells import absent_name
    from mixkd.bench.render.text import render_table
    from mixkd.bench.run import bench as run
    from mixkd.bench.targets import parse_target
    from mixkd.progress import TerminalProgress
    from mixkd.runtime.session import old_release

    with TerminalProgress(lines=True) as progress:
        report = run(
            bundle,
            inputs.open(),
            teacher=inputs.teacher,
            student=inputs.student,
            also=inputs.also,
            output=inputs.output,
            config=config,
            targets=[parse_target(name) for name in inputs.target],
            strict=inputs.strict,
            overwrite=inputs.overwrite,
            progress=progress,
        )
    for absent in report.absent:
        warn(f"{absent_name(absent)} is absent: {absent.reason}")
    for warning in report.warnings:
        warn(f"noisy run: {warning}")
    for target in report.targets:
        if words := old_release(target.environment.versions.get("onnxruntime", "")):
            warn(f"{target.name}: {words}")
    answer(
        {"report": inputs.output, **summary(report)},
        *render_table(report),
        f"report: {inputs.output / 'report.html'}",
        as_json=as_json,
    )


def summary(report: "Report") -> dict[str, Any]:
    """Return a report as `--json` prints it: without the single timings, which `report.json` holds."""
    body = asdict(report)
    for row in body["rows"]:
        del row["samples"]
    return body


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The report.json to compare with.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The report.json that may be worse.")],
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
