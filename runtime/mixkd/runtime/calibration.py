"""Scores that mean what they say: their temperature, and the score below which a classifier abstains."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mixkd.corpus.corpus import Corpus, Example
from mixkd.errors import BundleError, ConfigError, DataError, OutputError
from mixkd.outputs import fresh_folder
from mixkd.runtime.abstention import Abstention, Scores, best_threshold
from mixkd.runtime.bundle import Bundle, open_bundle, seal_bundle, write_manifest
from mixkd.runtime.classifier import Classifier
from mixkd.runtime.drift import REFERENCE, reference_of
from mixkd.runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE
from mixkd.runtime.temperature import (
    Fit,
    Scored,
    best_temperature,
    fit_held_out,
    has_temperature,
    scale_temperature,
)
from mixkd.task import ABSTAIN_LABEL, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """A temperature that was fitted, and what it does.

    Attributes:
        factor: What the logits are divided by, beside any earlier temperature.
        chosen_on: The texts that it was fitted on.
        judged_on: Texts that it was not fitted on: the test split, else each half of the others by the fit on
            the other half.
    """

    factor: float
    chosen_on: Fit
    judged_on: Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was calibrated.

    Attributes:
        temperature: None where it was left as it is; `note` says why.
        threshold: The score below which the bundle abstains; None without out-of-scope texts.
        abstain_label: The answer below it.
        chosen_on: What the threshold does on the texts it was chosen on.
        judged_on: The same on others, where there are any.
        sha256: Of the bundle's new `mkd.json`.
        note: What else there is to know, a line.
    """

    temperature: Temperature | None
    threshold: float | None
    abstain_label: str | None
    chosen_on: Abstention | None
    judged_on: Abstention | None
    sha256: str
    note: str | None


def calibrate(
    folder: Path,
    corpus: Corpus,
    out_of_scope: Corpus | None = None,
    *,
    out_of_scope_test: Corpus | None = None,
    abstain_label: str | None = None,
    temperature: bool = True,
) -> Calibration:
    """Fit the temperature of the bundle's scores, and choose the threshold below which it abstains.

    Both are chosen on the validation split, where there is one, and measured on the test split. A temperature
    is kept only if it lowers the loss of texts that it wasn't fitted on. The threshold is chosen on the new
    scores; it maximizes the mean of in-scope accuracy and out-of-scope recall, so that it does not depend on
    the numbers of texts of either kind.

    A signature is removed: the bundle is another one now.

    Args:
        folder: The bundle; it is replaced in one step, and without a new temperature only its `mkd.json` is.
        corpus: Labelled texts of the bundle's labels.
        out_of_scope: Texts of none of these labels; if they have labels, these are ignored. None chooses no
            threshold.
        out_of_scope_test: Other out-of-scope texts, to measure the chosen threshold.
        abstain_label: The answer below the threshold; None takes ``out_of_scope``.
        temperature: Whether to fit one.

    Raises:
        ConfigError: If the bundle's task isn't single-label, nothing is to be calibrated, or a threshold that
            was chosen earlier would be left without its temperature.
        DataError: If a text has no label, or one that the bundle doesn't know.
        OutputError: If the bundle can't be replaced.
    """
    folder = Path(folder).resolve()
    bundle = open_bundle(folder)
    _check_request(bundle, out_of_scope, temperature=temperature)
    work = _Work(corpus, out_of_scope, out_of_scope_test, abstain_label or ABSTAIN_LABEL)
    fitted, note = work.fit(bundle) if temperature else (None, None)
    if fitted is None:
        return work.finish(bundle, None, note)
    _check_replaceable(folder)
    with fresh_folder(folder, overwrite=True) as part:
        warmer = _copy_with_temperature(bundle, part, fitted.factor)
        return work.finish(warmer, fitted, "sign the bundle again" if _is_signed(bundle) else None)


def _check_request(bundle: Bundle, out_of_scope: Corpus | None, *, temperature: bool) -> None:
    if bundle.manifest.task is not Task.SINGLE_LABEL:
        raise ConfigError(
            f"{bundle.folder} is {bundle.manifest.task}: only a single-label bundle is calibrated"
        )
    if out_of_scope is None and not temperature:
        raise ConfigError("--no-temperature leaves nothing to calibrate: give out-of-scope texts with --oos")
    if out_of_scope is None and bundle.manifest.threshold is not None:
        raise ConfigError(
            f"{bundle.folder} has a threshold, which another temperature would shift: give --oos too"
        )


def _check_replaceable(folder: Path) -> None:
    if folder in {Path.cwd().resolve(), *Path.cwd().resolve().parents}:
        raise OutputError(f"{folder} is in use as the current folder: call mkd calibrate from another one")
    if not os.access(folder.parent, os.W_OK):
        raise OutputError(f"{folder.parent} can't be written: copy the bundle, or give --no-temperature")


def _is_signed(bundle: Bundle) -> bool:
    return (bundle.folder / SIGNATURE_FILE).exists()


def _copy_with_temperature(bundle: Bundle, part: Path, factor: float) -> Bundle:
    """Copy a bundle's files, without a signature, and scale the temperature of each graph."""
    for name in (MANIFEST_FILE, *bundle.manifest.files):
        (part / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(bundle.folder / name, part / name)
    if open_bundle(part).sha256 != bundle.sha256:
        raise BundleError(f"{bundle.folder} was changed while it was being calibrated: calibrate it again")
    for name in bundle.manifest.files:
        if name.endswith(".onnx") and has_temperature(part / name):
            scale_temperature(part / name, factor)
    return seal_bundle(part, bundle.manifest)


@dataclass(frozen=True, slots=True)
class _Work:
    """The texts to calibrate on, and the label of an abstaining answer."""

    corpus: Corpus
    out_of_scope: Corpus | None
    out_of_scope_test: Corpus | None
    abstain_label: str

    @property
    def choosing(self) -> str:
        """The split to choose on."""
        return "validation" if "validation" in self.corpus.splits else self.corpus.evaluation_split()

    def fit(self, bundle: Bundle) -> tuple[Temperature | None, str | None]:
        """Return the temperature to use, or None and why there is none."""
        if not has_temperature(bundle.model_path):
            return None, "its graph has no temperature: export the bundle again to get one"
        classifier = Classifier.load(bundle.folder)
        chosen = _scored(classifier, self.corpus, self.choosing)
        factor, halves = best_temperature(chosen), fit_held_out(chosen)
        if factor is None or halves is None:
            return None, f"the {len(chosen.target)} texts tell no temperature: too few, or all are right"
        if halves.loss_after >= halves.loss_before:
            return None, "a temperature does not lower the loss of other texts: it is left as it is"
        judged = halves
        if self.choosing != "test" and "test" in self.corpus.splits:
            judged = _scored(classifier, self.corpus, "test").fit(factor)
        return Temperature(factor=factor, chosen_on=chosen.fit(factor), judged_on=judged), None

    def finish(self, bundle: Bundle, temperature: Temperature | None, note: str | None) -> Calibration:
        """Choose the threshold for a bundle as it is now, and write its manifest."""
        manifest, chosen, judged = bundle.manifest, None, None
        quality = dict(manifest.quality)
        threshold, label = manifest.threshold, manifest.abstain_label
        if temperature is not None:
            quality["temperature"] = asdict(temperature)
            if REFERENCE in quality:  # its scores are others now
                quality[REFERENCE] = reference_of(bundle.folder, self.corpus)
        if self.out_of_scope is not None:
            threshold, chosen, judged = self._threshold(Classifier.load(bundle.folder, threshold=0.0))
            label = self.abstain_label
            about = {"threshold": threshold, "abstain_label": label, "chosen_on": asdict(chosen)}
            quality["abstention"] = {**about, "judged_on": None if judged is None else asdict(judged)}
        changed = temperature is not None or self.out_of_scope is not None
        if changed:
            written = replace(manifest, quality=quality, threshold=threshold, abstain_label=label)
            write_manifest(bundle.folder, written)
            if _is_signed(bundle):
                (bundle.folder / SIGNATURE_FILE).unlink()
                note = "; ".join(filter(None, (note, "sign the bundle again")))
        return Calibration(
            temperature=temperature,
            threshold=threshold,
            abstain_label=label,
            chosen_on=chosen,
            judged_on=judged,
            sha256=open_bundle(bundle.folder).sha256,
            note=note,
        )

    def _threshold(self, classifier: Classifier) -> tuple[float, Abstention, Abstention | None]:
        assert self.out_of_scope is not None, "who calls has asked"
        scores = _score(classifier, self.corpus, self.choosing, self.out_of_scope)
        threshold = best_threshold(scores.inside, scores.right, scores.outside)
        judged = None
        if self.out_of_scope_test is not None and self.choosing != "test" and "test" in self.corpus.splits:
            judged = _score(classifier, self.corpus, "test", self.out_of_scope_test).at(threshold)
        return threshold, scores.at(threshold), judged


def _labelled(classifier: Classifier, corpus: Corpus, split: str) -> list[Example]:
    """Read the texts of a split, each with one of the classifier's labels."""
    examples, known = list(corpus.read(split)), set(classifier.labels)
    for number, example in enumerate(examples, start=1):
        if not isinstance(example.label, str) or example.label not in known:
            raise DataError(
                f"{corpus.split(split)}, row {number}: the bundle has no label {example.label!r}; "
                "texts of no label belong to --oos"
            )
    return examples


def _scored(classifier: Classifier, corpus: Corpus, split: str) -> Scored:
    examples = _labelled(classifier, corpus, split)
    columns = {label: column for column, label in enumerate(classifier.labels)}
    shares = classifier.predict_proba([example.content for example in examples])
    return Scored.of(shares, (columns[str(example.label)] for example in examples))


def _score(classifier: Classifier, corpus: Corpus, split: str, out_of_scope: Corpus) -> Scores:
    inside = _labelled(classifier, corpus, split)
    outside = [e for name in out_of_scope.splits for e in out_of_scope.read(name)]
    answers = _ask(classifier, inside)
    return Scores(
        np.array([score for _, score in answers]),
        np.array([label == e.label for (label, _), e in zip(answers, inside, strict=True)]),
        np.array([score for _, score in _ask(classifier, outside)]),
    )


def _ask(classifier: Classifier, examples: Sequence[Example]) -> list[tuple[str, float]]:
    texts = (example.content for example in examples)
    # One at a time, as an app asks: an int8 score moves a little with the texts that share its batch.
    return [(answer.label, answer.score) for answer in classifier.stream(texts, window=1)]
