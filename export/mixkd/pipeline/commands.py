"""The commands of the pipeline stage."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mixkd.compress.config import MINILM
from mixkd.errors import BudgetError, MissingExtraError, RegressionError
from mixkd.options import DataInputs, Output, Overwrite, Seed, with_options
from mixkd.pipeline.bench_options import BenchOptions
from mixkd.pipeline.search_grid import SearchConfig


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command("quickstart")(quickstart)
    app.command("search")(search)
    app.command("bench")(bench)
    app.command("compare")(compare)
    app.command("targets")(targets)


def quickstart(
    *,
    output: Output = Path("quickstart"),
    model: Annotated[str, typer.Option(help="The encoder the teacher starts from.")] = MINILM,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A twentieth of the texts: does it all work?")
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the stages that are done.")] = False,
) -> None:
    """Fine-tune, distil, export and measure on the embedded data, and print the one table."""
    _need_extra("torch", "transformers", "optimum")
    from mixkd.bench.render.text import render_table
    from mixkd.bench.terminal import TerminalProgress
    from mixkd.pipeline.quickstart import quickstart as run

    with TerminalProgress() as progress:
        made = run(
            output,
            model=model,
            smoke=smoke,
            seed=seed,
            overwrite=overwrite,
            resume=resume,
            announce=lambda line: typer.echo(line, err=True),
            progress=progress,
        )
    typer.echo(render_table(made.report))
    typer.echo(f"report: {made.report_folder / 'report.html'}")
    typer.echo(f"bundle: {made.bundle}")


def _need_extra(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, "quickstart")


@with_options(inputs=DataInputs, grid=SearchConfig)
def search(
    teacher: Annotated[str, typer.Option(help="A fine-tuned classifier: a folder or a hub name.")],
    inputs: DataInputs,
    output: Annotated[Path, typer.Option(help="The folder of the students, bundles and results.")],
    grid: SearchConfig,
    distill_config: Annotated[
        Path | None, typer.Option(help="How to train: a TOML file, or a run.json of mkd distill.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes of each training over the texts.")] = None,
    target: Annotated[str, typer.Option(help="Where latency is measured: local or ssh://...")] = "local",
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted search.")] = False,
) -> None:
    """Find the best student within a latency and a size; what can't keep them isn't trained."""
    _need_extra("torch", "transformers", "optimum")
    from mixkd.bench.targets.parse import parse_target
    from mixkd.bench.terminal import TerminalProgress
    from mixkd.pipeline.search import RESULT_FILE
    from mixkd.pipeline.search import search as run
    from mixkd.pipeline.search_grid import read_distillation
    from mixkd.pipeline.search_outcomes import render_outcomes

    with TerminalProgress() as progress:
        found = run(
            teacher,
            inputs.open(),
            output,
            grid=grid,
            distillation=read_distillation(distill_config, epochs=epochs),
            target=parse_target(target),
            overwrite=overwrite,
            resume=resume,
            announce=lambda line: typer.echo(line, err=True),
            progress=progress,
        )
    name = found.best.name if found.best else None
    typer.echo(render_outcomes(found.outcomes, metric=found.metric, best=name))
    if found.best is None:
        raise BudgetError(f"no student of the grid keeps the limits: see {output / RESULT_FILE}")
    typer.echo(f"best: {found.best}")


@with_options(inputs=DataInputs, options=BenchOptions)
def bench(
    bundle: Annotated[Path, typer.Argument(help="The bundle to measure.")],
    *,
    inputs: DataInputs,
    output: Output,
    teacher: Annotated[Path | None, typer.Option(help="The teacher's folder, to compare with.")] = None,
    student: Annotated[
        Path | None, typer.Option(help="The student's folder [where the bundle says it stood].")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="Another bundle of the same labels; may be repeated.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Where to measure; may be repeated (mkd targets lists them) [local]."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A look in under half a minute; no p99.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Every scenario, cold starts, many samples: a quarter of an hour.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a run that was disturbed.")] = False,
    overwrite: Overwrite = False,
    options: BenchOptions,
) -> None:
    """Measure latency, memory, size and quality of a bundle, its student and its teacher."""
    from mixkd.bench.render.text import absent_name, render_table
    from mixkd.bench.targets.parse import parse_target
    from mixkd.bench.terminal import TerminalProgress
    from mixkd.pipeline.bench import bench_bundle

    config = options.config(quick=quick, full=full)
    with TerminalProgress() as progress:
        report = bench_bundle(
            bundle,
            teacher=teacher,
            student=student,
            also=tuple(also or ()),
            corpus=inputs.open(),
            output=output,
            config=config,
            targets=tuple(parse_target(word) for word in target or ["local"]),
            strict=strict,
            overwrite=overwrite,
            progress=progress,
        )
    typer.echo(render_table(report))
    for absent in report.absent:
        typer.echo(f"{absent_name(absent)} is absent: {absent.reason}", err=True)
    for warning in report.warnings:
        typer.echo(f"noisy run: {warning}", err=True)
    typer.echo(f"report: {output / 'report.html'}")


def compare(
    old: Annotated[Path, typer.Argument(help="The report.json that was good.")],
    new: Annotated[Path, typer.Argument(help="The report.json that is asked about.")],
    max_regression: Annotated[
        str, typer.Option(help="Growth of latency, memory and size that is allowed.")
    ] = "5%",
) -> None:
    """Compare two reports; exit code 4 if something became worse beyond noise."""
    from mixkd.bench.compare import compare_reports, parse_share, render_comparison
    from mixkd.bench.report.reading import read_report

    allowed = parse_share(max_regression)
    comparison = compare_reports(read_report(old), read_report(new), max_regression=allowed)
    typer.echo(render_comparison(comparison))
    if comparison.regressions:
        worst = comparison.regressions[0]
        count = len(comparison.regressions)
        raise RegressionError(f"{count} regression(s), the first: {worst.figure} of {worst.label}")


def targets() -> None:
    """List where this machine can measure, and what the rest needs."""
    from mixkd.bench.render.text import align
    from mixkd.bench.targets.listing import list_targets

    rows = [
        (t.name, t.evidence, t.note, f"needs {t.missing}" if t.missing else "ready") for t in list_targets()
    ]
    typer.echo(align([("target", "evidence", "what", "state"), *rows], left=4))
