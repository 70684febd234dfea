"""The commands of the compress stage: check, finetune, distill."""

from typing import Annotated

import typer

from mixkd import options
from mixkd.errors import MissingExtraError

from .config import DistillConfig, FinetuneConfig

_Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run, if there is one.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command("check")(check)
    app.command("finetune")(options.with_config(FinetuneConfig)(_finetune))
    app.command("distill")(options.with_config(DistillConfig)(_distill))


def _finetune(
    model: Annotated[str, typer.Option(help="The encoder to start from: a folder or a hub name.")],
    data: options.Data,
    output: options.Output,
    config: FinetuneConfig,
    text_column: options.TextColumn = "text",
    text2_column: options.Text2Column = None,
    label_column: options.LabelColumn = None,
    overwrite: options.Overwrite = False,
    resume: _Resume = False,
) -> None:
    """Fine-tune an encoder on labelled texts: a teacher."""
    _need_torch()
    from mixkd.texts import open_corpus

    from .teacher import finetune

    corpus = open_corpus(data, options.columns(text_column, text2_column, label_column))
    result = finetune(
        model, corpus, output, config=config, overwrite=overwrite, resume=resume, announce=_warn
    )
    _echo(result.metrics)
    typer.echo(f"teacher: {output}")


def _distill(
    teacher: Annotated[str, typer.Option(help="A fine-tuned classifier: a folder or a hub name.")],
    data: options.Data,
    output: options.Output,
    config: DistillConfig,
    text_column: options.TextColumn = "text",
    text2_column: options.Text2Column = None,
    label_column: options.LabelColumn = None,
    overwrite: options.Overwrite = False,
    resume: _Resume = False,
) -> None:
    """Distil a teacher into a student with MixKD, or another method."""
    _need_torch()
    from mixkd.texts import open_corpus

    from .distill import distill

    corpus = open_corpus(data, options.columns(text_column, text2_column, label_column))
    result = distill(
        teacher, corpus, output, config=config, overwrite=overwrite, resume=resume, announce=_warn
    )
    _echo(result.metrics)
    typer.echo(f"student: {output}")


def check(
    data: options.Data,
    teacher: Annotated[str | None, typer.Option(help="Check its labels and tokenizer too.")] = None,
    max_length: Annotated[int, typer.Option(help="Tokens per text that truncation is told for.")] = 128,
    text_column: options.TextColumn = "text",
    text2_column: options.Text2Column = None,
    label_column: options.LabelColumn = None,
) -> None:
    """Count what would spoil a training: duplicates, leaks, empty texts, missing classes, truncation."""
    _need_torch()
    from mixkd.texts import open_corpus

    from .check import check_data
    from .labels import label_space_of
    from .models import find_model, load_classifier, load_tokenizer

    corpus = open_corpus(data, options.columns(text_column, text2_column, label_column))
    labels = tokenizer = None
    if teacher is not None:
        folder = find_model(teacher)
        labels, tokenizer = (
            label_space_of(load_classifier(folder).config, model=teacher),
            load_tokenizer(folder),
        )
    found = check_data(corpus, labels=labels, tokenizer=tokenizer, max_length=max_length)
    for name, split in found.splits.items():
        typer.echo(f"{name}: {split.rows} texts, {len(split.classes)} classes")
    for line in found.warnings:
        typer.echo(line)


def _warn(line: str) -> None:
    typer.echo(f"note: {line}", err=True)


def _echo(metrics: dict[str, dict[str, float]]) -> None:
    for split, values in metrics.items():
        typer.echo(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))


def _need_torch() -> None:
    try:
        import torch  # noqa: F401 - only whether it is there
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "compress") from error
