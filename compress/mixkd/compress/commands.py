"""The commands of the compress stage: check, finetune, augment, distill."""

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from mixkd.compress.config import DistillConfig, FinetuneConfig
from mixkd.compress.inputs import CheckConfig, DistillInputs, FinetuneInputs, TrainingInputs
from mixkd.compress.translation import AugmentConfig, AugmentInputs
from mixkd.console import answer, warn
from mixkd.extras import require
from mixkd.options import DataInputs
from mixkd.parameters import Json, with_options
from mixkd.progress import TerminalProgress
from mixkd.usage import add_command

if TYPE_CHECKING:
    from mixkd.compress import TrainingResult


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    add_command(app, "check", _check)
    add_command(app, "finetune", _finetune)
    add_command(app, "augment", _augment)
    add_command(app, "distill", _distill)


@with_options(inputs=DataInputs, config=CheckConfig)
def _check(inputs: DataInputs, config: CheckConfig, as_json: Json = False) -> None:
    """Report problems in the data before training.

    It finds duplicates, texts in two splits, empty texts, missing classes and texts that would be truncated.
    """
    require("torch", "transformers", extra="compress")
    from mixkd.compress.check import check_data
    from mixkd.compress.checkpoints import load_classifier, load_tokenizer
    from mixkd.compress.locate import find_model
    from mixkd.labels import are_scores, label_space_of

    labels = tokenizer = None
    if config.teacher is not None:
        folder = find_model(config.teacher)
        labels = label_space_of(load_classifier(folder).config.to_dict(), model=config.teacher)
        tokenizer = load_tokenizer(folder)
    found = check_data(inputs.open(), labels=labels, tokenizer=tokenizer, max_length=config.max_length)
    lines = []
    for name, split in found.splits.items():
        kind = "scores" if are_scores(split.classes) else "classes"
        lines.append(f"{name}: {split.rows} texts, {len(split.classes)} {kind}")
    splits = {
        name: {
            "rows": split.rows,
            "classes": split.classes,
            "empty": split.empty,
            "unlabelled": split.unlabelled,
            "duplicates": split.duplicates,
        }
        for name, split in found.splits.items()
    }
    answer({"splits": splits, "warnings": found.warnings}, *lines, *found.warnings, as_json=as_json)


@with_options(config_file=True, inputs=FinetuneInputs, config=FinetuneConfig)
def _finetune(inputs: FinetuneInputs, config: FinetuneConfig, as_json: Json = False) -> None:
    """Fine-tune a pretrained encoder on labelled texts; the result can be a teacher."""
    from mixkd.compress import finetune

    _train("teacher", partial(finetune, inputs.model, config=config), inputs, as_json=as_json)


@with_options(config_file=True, inputs=DistillInputs, config=DistillConfig)
def _distill(inputs: DistillInputs, config: DistillConfig, as_json: Json = False) -> None:
    """Distil a teacher into a student, with MixKD or another method."""
    from mixkd.compress import distill

    _train("student", partial(distill, inputs.teacher, config=config), inputs, as_json=as_json)


def _train(
    kind: str, stage: Callable[..., "TrainingResult"], inputs: TrainingInputs, *, as_json: bool
) -> None:
    from mixkd.metrics import format_metric

    with TerminalProgress(lines=True) as progress:

        def announce(problem: str) -> None:
            progress("", 0, 1)  # makes room
            warn(f"note: {problem}")

        result = stage(
            data=inputs.open(),
            output=inputs.output,
            overwrite=inputs.overwrite,
            resume=inputs.resume,
            announce=announce,
            progress=progress,
        )
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes the first one reports
    lines = [
        f"{split}: " + ", ".join(f"{name} {format_metric(name, value)}" for name, value in values.items())
        for split, values in result.metrics.items()
    ]
    answer(result, *lines, f"{kind}: {result.folder}", as_json=as_json)


@with_options(config_file=True, inputs=AugmentInputs, config=AugmentConfig)
def _augment(inputs: AugmentInputs, config: AugmentConfig, as_json: Json = False) -> None:
    """Make additional training texts by back-translation, for distill --augmented."""
    from mixkd.compress import augment

    with TerminalProgress() as progress:
        found = augment(
            inputs.open(),
            inputs.output,
            config=config,
            overwrite=inputs.overwrite,
            resume=inputs.resume,
            progress=progress,
        )
    line = f"{found.written} paraphrases of {found.translated} texts: {inputs.output}"
    values = {"file": inputs.output, "translated": found.translated, "written": found.written}
    answer(values, line, as_json=as_json)
