"""The commands of the runtime stage: inspect, predict, calibrate, sign, push."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixkd.console import answer, say_fields
from mixkd.errors import DataError
from mixkd.options import DataInputs, Group, check_limits, option, required
from mixkd.parameters import Json, with_options
from mixkd.runtime.presets import Preset
from mixkd.task import ABSTAIN_LABEL
from mixkd.usage import add_command

if TYPE_CHECKING:
    from mixkd.runtime.calibration import Calibration
    from mixkd.runtime.encoding import Text

BundleFolder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The bundle: a folder that mkd export wrote.")
]


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    add_command(app, "inspect", inspect)
    add_command(app, "predict", predict)
    add_command(app, "calibrate", calibrate)
    add_command(app, "sign", sign)
    add_command(app, "push", push)


@dataclass(frozen=True, kw_only=True)
class Meant:
    """Which bundle is meant."""

    expect_sha256: str | None = option(
        None, "The sha256 of the bundle's mkd.json; any other bundle is refused.", group=Group.OTHER
    )
    verify_key: Path | None = option(
        None,
        "A public key (PEM); a bundle that its holder did not sign is refused.",
        group=Group.OTHER,
    )


@with_options(meant=Meant)
def inspect(bundle: BundleFolder, *, meant: Meant, as_json: Json = False) -> None:
    """Check a bundle as an app does that loads it, and show what it holds.

    Each problem for which loading would refuse the bundle is named; the exit code is then 1. The sha256 that
    is printed stands for the whole bundle.
    """
    from mixkd.runtime.bundle import Trust
    from mixkd.runtime.inspection import inspect as examine

    found = examine(bundle, trust=Trust(sha256=meant.expect_sha256, key=meant.verify_key))
    answer(found, *found.lines(), as_json=as_json)
    found.check()


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who signs."""

    key: Path = required("An Ed25519 private key (PEM); openssl genpkey -algorithm ed25519 makes one.")


@with_options(signer=Signer)
def sign(bundle: BundleFolder, *, signer: Signer, as_json: Json = False) -> None:
    """Sign a bundle, so that whoever has the public key can tell who made it."""
    from mixkd.runtime.keys import is_encrypted
    from mixkd.runtime.signing import sign as write_signature

    encrypted = is_encrypted(signer.key)
    password = typer.prompt("password of the key", hide_input=True, err=True) if encrypted else None
    written = write_signature(bundle, signer.key, password=None if password is None else password.encode())
    answer({"signature": written}, f"signed: {written}", as_json=as_json)


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """The options of `mkd push`."""

    private: bool = option(False, "Make a private repository.", group=Group.OTHER)
    message: str = option(
        "", "The commit's message.", group=Group.OTHER, otherwise="one that names the bundle's sha256"
    )


@with_options(config=PushConfig)
def push(
    bundle: BundleFolder,
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The model repository on the hub.")],
    *,
    config: PushConfig,
    as_json: Json = False,
) -> None:
    """Send a bundle to the Hugging Face hub, in one commit; the repository is made where there is none.

    Log in with hf auth login, or set HF_TOKEN. Classifier.from_hub("ORG/NAME") opens it.
    """
    from mixkd.runtime.hub import push_bundle

    pushed = push_bundle(bundle, name, private=config.private, message=config.message)
    lines = (pushed.url, f"  revision  {pushed.revision}", f"  sha256    {pushed.sha256}")
    answer(pushed._asdict(), *lines, as_json=as_json)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """The options of `mkd predict`."""

    pairs: bool = option(False, "Each line is text, tab, second text.", group=Group.DATA)
    top_k: int = option(
        0, "Also print this many of the best labels, with scores.", group=Group.ANSWER, least=0
    )
    threshold: float | None = option(
        None,
        "The score below which the bundle abstains or a label is left out.",
        group=Group.ANSWER,
        otherwise="the bundle's",
        least=0,
        most=1,
    )
    preset: Preset = option(
        Preset.BALANCED, "What the runtime optimizes: speed, memory, or both.", group=Group.OTHER
    )
    threads: int | None = option(
        None,
        "Threads per call.",
        group=Group.OTHER,
        otherwise="the available processors, up to the preset's limit",
        least=1,
    )

    def __post_init__(self) -> None:
        check_limits(self)


@with_options(config=PredictConfig, meant=Meant)
def predict(
    bundle: BundleFolder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="A text; without any, each line of standard input is one."),
    ] = None,
    *,
    config: PredictConfig,
    meant: Meant,
    as_json: Json = False,
) -> None:
    """Predict the label of each text.

    For each text one line: label, tab, score; with --json one JSON object.
    """
    from mixkd.runtime.classifier import Classifier
    from mixkd.runtime.predictor import WINDOW

    if not texts and sys.stdin is None:
        raise DataError("standard input is closed: give the texts as arguments")
    classifier = Classifier.load(
        bundle,
        threads=config.threads,
        preset=config.preset,
        threshold=config.threshold,
        expect_sha256=meant.expect_sha256,
        verify_key=meant.verify_key,
    )
    shown, asked = tee(_texts(texts, config.pairs))
    # Who types wants each answer at once.
    window = 1 if not texts and sys.stdin.isatty() else WINDOW
    found = classifier.stream(asked, top_k=config.top_k, window=window)
    # The answers first: they pull the texts, and the last pull must find neither.
    for prediction, text in zip(found, shown, strict=False):
        if as_json:
            answer({"text": text, **asdict(prediction)}, as_json=True)
            continue
        names = ",".join(prediction.labels) or prediction.label
        best = (f"{name}={share:.4f}" for name, share in prediction.top)
        say_fields(names, f"{prediction.score:.4f}", *best)


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """The texts of none of the labels, the answer to them, and whether the scores get a temperature."""

    oos: str | None = option(
        None,
        "Texts that belong to no label, to choose the threshold: a file, or clinc150 for the built-in ones.",
        group=Group.DATA,
    )
    oos_test: str | None = option(
        None,
        "More such texts: the threshold is measured on them, and not chosen on them.",
        group=Group.DATA,
    )
    abstain_label: str = option(ABSTAIN_LABEL, "The answer below the threshold.", group=Group.ANSWER)
    temperature: bool = option(
        True, "Fit the temperature of the scores; --no-temperature leaves it.", group=Group.ANSWER
    )


@with_options(inputs=DataInputs, config=CalibrateConfig)
def calibrate(
    bundle: BundleFolder,
    *,
    inputs: DataInputs,
    config: CalibrateConfig,
    as_json: Json = False,
) -> None:
    """Fit the temperature of a bundle's scores, and choose the score below which it abstains.

    The temperature is in the graph: every program that runs the bundle gets the calibrated scores. The bundle
    has another sha256 afterwards, and needs to be signed again.
    """
    from mixkd.corpus.corpus import BUILT_IN, built_in_file, open_corpus
    from mixkd.runtime.calibration import calibrate as choose

    oos, oos_test = config.oos, config.oos_test
    if oos in BUILT_IN:
        oos, oos_test = (str(built_in_file(oos, f"oos_{split}.tsv")) for split in ("validation", "test"))
    plain = replace(inputs.columns(), label=None)
    found = choose(
        bundle,
        inputs.open(),
        open_corpus(oos, plain) if oos else None,
        out_of_scope_test=open_corpus(oos_test, plain) if oos_test else None,
        abstain_label=config.abstain_label,
        temperature=config.temperature,
    )
    answer(found, *_calibrated(found), as_json=as_json)


def _calibrated(found: "Calibration") -> Iterator[str]:
    if found.temperature is not None:
        yield f"temperature {found.temperature.factor:.4f}"
        fits = (("chosen on", found.temperature.chosen_on), ("judged on", found.temperature.judged_on))
        for name, fit in fits:
            yield (
                f"{name} {fit.texts} texts: calibration error {fit.ece_before:.2%} before, "
                f"{fit.ece_after:.2%} after; loss {fit.loss_before:.4f} before, {fit.loss_after:.4f} after"
            )
    if found.chosen_on is not None:
        yield f"threshold {found.threshold:.4f}, below it the label {found.abstain_label!r}"
    for name, result in (("chosen on", found.chosen_on), ("judged on", found.judged_on)):
        if result is not None:
            yield (
                f"{name} {result.in_scope_texts} + {result.out_of_scope_texts} texts: in-scope accuracy "
                f"{result.in_scope_accuracy:.2%} (without threshold {result.in_scope_accuracy_before:.2%}), "
                f"out-of-scope recall {result.out_of_scope_recall:.2%}"
            )
    if found.note is not None:
        yield f"note: {found.note}"
    yield f"sha256 {found.sha256}"


def _texts(arguments: list[str] | None, pairs: bool) -> Iterator["Text"]:
    for number, line in enumerate(arguments or _lines(), start=1):
        if not pairs:
            yield line
            continue
        first, tab, second = line.partition("\t")
        if not tab:
            raise DataError(f"text {number} has no tab: with --pairs each line is text, tab, second text")
        yield first, second


def _lines() -> Iterator[str]:
    # Bytes, so that the locale has no say; what isn't UTF-8 reaches the model as U+FFFD.
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")
