"""The commands of the pipeline stage."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mixkd.compress.config import MINILM
from mixkd.errors import MissingExtraError
from mixkd.options import Data, LabelColumn, Output, Overwrite, Seed, Text2Column, TextColumn, columns


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command("quickstart")(quickstart)
    app.command("bench")(bench)


def quickstart(
    *,
    output: Output = Path("quickstart"),
    model: Annotated[str, typer.Option(help="The encoder the teacher starts from.")] = MINILM,
    smoke: Annotated[bool, typer.Option("--smoke", help="A tenth of the texts: does it all work?")] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the stages that are done.")] = False,
) -> None:
    """Fine-tune, distil, export and measure on the embedded data, and print the one table."""
    _need_extra("torch", "transformers", "optimum")
    from mixkd.pipeline.quickstart import quickstart as run
    from mixkd.runtime.bench.table import render_table
    from mixkd.runtime.bench.terminal import TerminalProgress

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


def bench(
    bundle: Annotated[Path, typer.Argument(help="The bundle to measure.")],
    *,
    data: Data,
    output: Output,
    teacher: Annotated[Path | None, typer.Option(help="The teacher's folder, to compare with.")] = None,
    student: Annotated[
        Path | None, typer.Option(help="The student's folder [where the bundle says it stood].")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="The split to measure on [test, else validation].")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A look in under half a minute; no p99.")] = False,
    threads: Annotated[int, typer.Option(help="Threads per call, the same for every engine.")] = 1,
    seed: Seed = 42,
    text_column: TextColumn = "text",
    text2_column: Text2Column = None,
    label_column: LabelColumn = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure latency, memory, size and quality of a bundle, its student and its teacher."""
    from mixkd.pipeline.bench import bench_bundle
    from mixkd.runtime.bench.config import BenchConfig
    from mixkd.runtime.bench.table import render_table
    from mixkd.runtime.bench.terminal import TerminalProgress
    from mixkd.texts import open_corpus

    make = BenchConfig.quick if quick else BenchConfig
    with TerminalProgress() as progress:
        report = bench_bundle(
            bundle,
            teacher=teacher,
            student=student,
            corpus=open_corpus(data, columns(text_column, text2_column, label_column)),
            output=output,
            config=make(threads=threads, seed=seed, split=split),
            overwrite=overwrite,
            progress=progress,
        )
    typer.echo(render_table(report))
    for absent in report.absent:
        typer.echo(f"{absent.label} is absent: {absent.reason}", err=True)
    for warning in report.warnings:
        typer.echo(f"noisy run: {warning}", err=True)
    typer.echo(f"report: {output / 'report.html'}")
