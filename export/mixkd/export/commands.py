"""The commands of the export stage."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mixkd.console import answer
from mixkd.export.config import ExportConfig, ExportInputs
from mixkd.parameters import Json, Output, Overwrite, with_options
from mixkd.usage import add_command

if TYPE_CHECKING:
    from mixkd.export import ExportResult
    from mixkd.export.judge.judge import ExportQuality

Student = Annotated[
    str,
    typer.Argument(
        metavar="STUDENT",
        help="A fine-tuned classifier: a folder, as mkd distill writes it, or a hub name.",
    ),
]


@with_options(inputs=ExportInputs, config=ExportConfig)
def export(
    student: Student,
    output: Output,
    inputs: ExportInputs,
    config: ExportConfig,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert a student to a bundle: int8 ONNX graph, tokenizer, labels, measured quality."""
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
    answer(_values(result), *_lines(result), as_json=as_json)


def _values(result: "ExportResult") -> dict[str, object]:
    return {
        "bundle": result.bundle.folder,
        "sha256": result.bundle.sha256,
        "recipe": result.bundle.manifest.recipe,
        "file_bytes": result.file_bytes,
        "sizes": result.sizes.as_json(),
        "quality": result.bundle.manifest.quality,
        "trials": [trial.as_json() for trial in result.trials],
        "vocabulary": result.trim.as_json() if result.trim else None,
        "notes": result.notes,
    }


def _lines(result: "ExportResult") -> Iterator[str]:
    from mixkd.metrics import format_rate

    sizes = result.sizes
    yield from _trials(result)
    yield f"{result.bundle.folder} ({result.bundle.manifest.recipe})"
    yield (
        f"  size      {result.file_bytes / 1e6:.2f} MB "
        f"(embeddings {sizes.embeddings_bytes / 1e6:.2f}, encoder {sizes.encoder_bytes / 1e6:.2f}, "
        f"head {sizes.head_bytes / 1e6:.2f})"
    )
    yield f"  sha256    {result.bundle.sha256}"
    if result.quality:
        yield _quality(result.quality)
    if result.trim:
        yield f"  words     {result.trim.kept} of {result.trim.size} rows; {result.trim.describe()}"
    for name, value in result.bundle.manifest.quality.items():
        if name.startswith("agreement_on_"):
            processor = name.removeprefix("agreement_on_")
            yield f"  {processor:9} {format_rate(value)} of the labels are the same there"
    for note in result.notes:
        yield f"  note: {note}"


def _trials(result: "ExportResult") -> Iterator[str]:
    from mixkd.bench.render.cells import signed_difference
    from mixkd.metrics import format_metric, format_rate

    for trial in result.trials:
        assert result.quality is not None, "trials are measured on the data"
        kept = f", {len(trial.kept)} parts in fp32" if trial.kept else ""
        time = f"{trial.latency_ms:8.2f} ms" if trial.latency_ms is not None else ""
        worst, metric = trial.recall_drop, result.quality.metric
        recall = f", {worst.label} loses {worst.points:.1f} points of recall" if worst else ""
        score, change = (
            format_metric(metric, trial.score),
            signed_difference(metric, -trial.drop_points / 100),
        )
        yield (
            f"  {trial.recipe:9} {score} ({change}), "
            f"{format_rate(trial.agreement)} of the answers unchanged{recall}{time}{kept}"
        )


def _quality(quality: "ExportQuality") -> str:
    from mixkd.metrics import format_metric, format_rate

    name = quality.metric.replace("_", " ")
    student, fp32 = (format_metric(quality.metric, value) for value in (quality.student, quality.fp32))
    line = f"  {name:9} {student} in PyTorch, {fp32} fp32"
    if quality.int8 is not None and quality.int8_agreement is not None:
        int8 = format_metric(quality.metric, quality.int8)
        line += f", {int8} int8; {format_rate(quality.int8_agreement)} of the answers unchanged"
    return f"{line} ({quality.rows} texts of {quality.split})"


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    add_command(app, "export", export)
