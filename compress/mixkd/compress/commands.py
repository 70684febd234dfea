"""The commands of the compress stage: check, augment, finetune, distill."""

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mixkd import options
from mixkd.compress.config import (
    AugmentConfig,
    AugmentInputs,
    DistillConfig,
    DistillInputs,
    FinetuneConfig,
    FinetuneInputs,
    TrainingInputs,
)
from mixkd.console import say, warn
from mixkd.errors import MissingExtraError

if TYPE_CHECKING:
    from mixkd.compress.run import StageResult


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command("check")(options.with_options(inputs=options.DataInputs)(_check))
    app.command("augment")(options.with_options(inputs=AugmentInputs, config=AugmentConfig)(_augment))
    app.command("finetune")(options.with_options(inputs=FinetuneInputs, config=FinetuneConfig)(_finetune))
    app.command("distill")(options.with_options(inputs=DistillInputs, config=DistillConfig)(_distill))


def _finetune(inputs: FinetuneInputs, config: FinetuneConfig) -> None:
    """Fine-tune an encoder on labelled texts: a teacher."""
    _need_torch()
    from mixkd.compress.finetune import finetune

    _train("teacher", partial(finetune, inputs.model, config=config), inputs)


def _distill(inputs: DistillInputs, config: DistillConfig) -> None:
    """Distil a teacher into a student with MixKD, or another method."""
    _need_torch()
    from mixkd.compress.distill import distill

    _train("student", partial(distill, inputs.teacher, config=config), inputs)


def _train(kind: str, stage: Callable[..., "StageResult"], inputs: TrainingInputs) -> None:
    result = stage(
        corpus=inputs.open(),
        output=inputs.output,
        overwrite=inputs.overwrite,
        resume=inputs.resume,
        announce=lambda line: warn(f"note: {line}"),
    )
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes the first one speaks
    for split, values in result.metrics.items():
        say(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
    say(f"{kind}: {result.folder}")


def _augment(inputs: AugmentInputs, config: AugmentConfig) -> None:
    """Translate the training texts to another language and back: more texts, for distill --augmented."""
    _need_torch()
    from mixkd.compress.augment import augment

    found = augment(
        inputs.open(), inputs.output, config=config, overwrite=inputs.overwrite, resume=inputs.resume
    )
    say(f"{found.written} of {found.translated} texts came back in other words: {inputs.output}")


def _check(
    inputs: options.DataInputs,
    teacher: Annotated[str | None, typer.Option(help="Check its labels and tokenizer too.")] = None,
    max_length: Annotated[int, typer.Option(help="Tokens per text that truncation is told for.")] = 128,
) -> None:
    """Count what would spoil a training: duplicates, leaks, empty texts, missing classes, truncation."""
    _need_torch()
    from mixkd.compress.check import check_data
    from mixkd.compress.checkpoints import load_classifier, load_tokenizer
    from mixkd.compress.locate import find_model
    from mixkd.labels import are_scores, label_space_of

    labels = tokenizer = None
    if teacher is not None:
        folder = find_model(teacher)
        labels = label_space_of(load_classifier(folder).config.to_dict(), model=teacher)
        tokenizer = load_tokenizer(folder)
    found = check_data(inputs.open(), labels=labels, tokenizer=tokenizer, max_length=max_length)
    for name, split in found.splits.items():
        kind = "scores" if are_scores(split.classes) else "classes"
        say(f"{name}: {split.rows} texts, {len(split.classes)} {kind}")
    for line in found.warnings:
        say(line)


def _need_torch() -> None:
    try:
        import torch  # noqa: F401 - only whether it is there
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "compress") from error
