"""The commands of the runtime stage."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixkd import options
from mixkd.console import answer as give
from mixkd.console import say, say_fields
from mixkd.errors import DataError
from mixkd.runtime.presets import Preset

if TYPE_CHECKING:
    from mixkd.runtime.encoding import Text

BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder that mkd export wrote.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command()(predict)
    app.command()(calibrate)


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
            give({"text": text, **asdict(answer)}, as_json=True)
            continue
        names = ",".join(answer.labels) or answer.label
        best = (f"{name}={share:.4f}" for name, share in answer.top)
        say_fields(names, f"{answer.score:.4f}", *best)


@options.with_options(inputs=options.DataInputs)
def calibrate(
    bundle: BundleFolder,
    *,
    inputs: options.DataInputs,
    oos: Annotated[
        str,
        typer.Option(help="Texts of none of the labels: a file, or clinc150 for those that come with it."),
    ],
    oos_test: Annotated[
        str | None, typer.Option(help="More of them, that judge the threshold without choosing it.")
    ] = None,
    abstain_label: Annotated[str, typer.Option(help="The answer below the threshold.")] = "out_of_scope",
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Choose the score below which the bundle abstains, and write it into its manifest."""
    from mixkd.corpus.corpus import BUILT_IN, built_in_file, open_corpus
    from mixkd.runtime.calibration import calibrate as choose

    if oos in BUILT_IN:
        oos, oos_test = (str(built_in_file(oos, f"oos_{split}.tsv")) for split in ("validation", "test"))
    plain = replace(inputs.columns(), label=None)
    found = choose(
        bundle,
        inputs.open(),
        open_corpus(oos, plain),
        out_of_scope_test=open_corpus(oos_test, plain) if oos_test else None,
        abstain_label=abstain_label,
    )
    if as_json:
        give(found, as_json=True)
        return
    say(f"threshold {found.threshold:.4f}, below it the label {found.abstain_label!r}")
    for name, result in (("chosen on", found.chosen_on), ("judged on", found.judged_on)):
        if result is not None:
            say(
                f"{name} {result.in_scope_texts} + {result.out_of_scope_texts} texts: in-scope accuracy "
                f"{result.in_scope_accuracy:.2%} (without threshold {result.in_scope_accuracy_before:.2%}), "
                f"out-of-scope recall {result.out_of_scope_recall:.2%}"
            )


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
