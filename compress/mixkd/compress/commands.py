"""The commands of the compress stage: finetune, distill."""

from typing import Annotated

import typer

from mixkd import options
from mixkd.errors import MissingExtraError

from .config import DistillConfig, FinetuneConfig

_Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
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
    result = finetune(model, corpus, output, config=config, overwrite=overwrite, resume=resume)
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
    result = distill(teacher, corpus, output, config=config, overwrite=overwrite, resume=resume)
    _echo(result.metrics)
    typer.echo(f"student: {output}")


def _echo(metrics: dict[str, dict[str, float]]) -> None:
    for split, values in metrics.items():
        typer.echo(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))


def _need_torch() -> None:
    try:
        import torch  # noqa: F401 - only whether it is there
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "compress") from error
