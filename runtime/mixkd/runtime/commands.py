"""The commands of the runtime stage."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixkd.errors import DataError
from mixkd.runtime.presets import Preset

if TYPE_CHECKING:
    from mixkd.runtime.encoding import Text

BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that mkd export wrote.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command()(predict)


def predict(
    bundle: BundleFolder,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; without any, the lines of standard input.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per text.")] = False,
    pairs: Annotated[bool, typer.Option("--pairs", help="A tab parts a text from its second text.")] = False,
    top_k: Annotated[int, typer.Option(min=0, help="Also give this many of the best labels.")] = 0,
    threshold: Annotated[
        float | None, typer.Option(help="The least score that counts [the bundle's].")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="What to spend on memory and time.")] = Preset.BALANCED,
    threads: Annotated[int | None, typer.Option(help="Threads [the processors it may use].")] = None,
) -> None:
    """Label texts, in order: a line with label, tab, score for each."""
    from mixkd.runtime.classifier import Classifier
    from mixkd.runtime.predictor import WINDOW

    classifier = Classifier.load(bundle, threads=threads, preset=preset, threshold=threshold)
    shown, asked = tee(_texts(texts, pairs))
    # Who types wants each answer at once.
    window = 1 if not texts and sys.stdin.isatty() else WINDOW
    answers = classifier.stream(asked, top_k=top_k, window=window)
    # The answers first: they pull the texts, and the last pull must find neither.
    for answer, text in zip(answers, shown, strict=False):
        if as_json:
            typer.echo(json.dumps({"text": text, **asdict(answer)}))
            continue
        names = ",".join(answer.labels) or answer.label
        best = (f"{name}={share:.4f}" for name, share in answer.top)
        typer.echo("\t".join([names, f"{answer.score:.4f}", *best]))


def _texts(arguments: list[str] | None, pairs: bool) -> Iterator["Text"]:
    for number, line in enumerate(arguments or _lines(), start=1):
        if not pairs:
            yield line
            continue
        first, tab, second = line.partition("\t")
        if not tab:
            raise DataError(
                f"text {number} has no tab: with --pairs each is a text, a tab and its second text"
            )
        yield first, second


def _lines() -> Iterator[str]:
    # Bytes, so that the locale has no say; what isn't UTF-8 reaches the model as U+FFFD.
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")
