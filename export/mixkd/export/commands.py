"""The commands of the export stage."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixkd.console import say
from mixkd.export.config import ExportConfig, ExportInputs
from mixkd.options import Output, Overwrite, with_options

if TYPE_CHECKING:
    from mixkd.export import ExportResult

Student = Annotated[
    str, typer.Argument(help="A fine-tuned classifier: a folder, as mkd distill writes it, or a hub name.")
]


@with_options(inputs=ExportInputs, config=ExportConfig)
def export(
    student: Student,
    output: Output,
    inputs: ExportInputs,
    config: ExportConfig,
    overwrite: Overwrite = False,
) -> None:
    """Turn a student into a bundle: int8 ONNX, tokenizer, labels, measured quality."""
    from mixkd.export import export as run
    from mixkd.progress import TerminalProgress

    with TerminalProgress(lines=True) as progress:
        result = run(
            student,
            output,
            data=inputs.open_if_given(),
            config=config,
            overwrite=overwrite,
            progress=progress,
        )
    _report(result)


def _report(result: "ExportResult") -> None:
    from mixkd.bench.render.cells import signed_difference
    from mixkd.metrics import format_metric, format_rate

    sizes, quality = result.sizes, result.quality
    for trial in result.trials:
        assert quality is not None, "trials are measured on the data"
        kept = f", {len(trial.kept)} parts in fp32" if trial.kept else ""
        time = f"{trial.latency_ms:8.2f} ms" if trial.latency_ms is not None else ""
        say(
            f"  {trial.recipe:9} {format_metric(quality.metric, trial.score)} "
            f"({signed_difference(quality.metric, -trial.drop_points / 100)}), "
            f"{format_rate(trial.agreement)} of the answers unchanged{time}{kept}"
        )
    say(f"{result.bundle.folder} ({result.bundle.manifest.recipe})")
    say(
        f"  size      {result.file_bytes / 1e6:.2f} MB "
        f"(embeddings {sizes.embeddings_bytes / 1e6:.2f}, encoder {sizes.encoder_bytes / 1e6:.2f}, "
        f"head {sizes.head_bytes / 1e6:.2f})"
    )
    if quality:
        name = quality.metric.replace("_", " ")
        student, fp32 = (format_metric(quality.metric, value) for value in (quality.student, quality.fp32))
        line = f"  {name:9} {student} in PyTorch, {fp32} fp32"
        if quality.int8 is not None and quality.int8_agreement is not None:
            int8 = format_metric(quality.metric, quality.int8)
            line += f", {int8} int8; {format_rate(quality.int8_agreement)} of the answers unchanged"
        say(f"{line} ({quality.rows} texts of {quality.split})")
    if result.trim:
        say(f"  words     {result.trim.kept} of {result.trim.size} rows; {result.trim.describe()}")
    for name, value in result.bundle.manifest.quality.items():
        if name.startswith("agreement_on_"):
            processor = name.removeprefix("agreement_on_")
            say(f"  {processor:9} {format_rate(value)} of the labels are the same there")
    for note in result.notes:
        say(f"  note: {note}")


def inspect(bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")]) -> None:
    """Show what a bundle holds: operators, weights by part, inputs, recipe, numbers, checksums."""
    from mixkd.export.inspection import describe

    say(*describe(bundle).split("\n"))


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command()(export)
    app.command()(inspect)
