"""The score below which a classifier abstains, chosen with the help of out-of-scope texts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixkd.corpus.corpus import Corpus, Example
from mixkd.errors import ConfigError, DataError
from mixkd.runtime.bundle import open_bundle, write_manifest
from mixkd.runtime.classifier import Classifier
from mixkd.task import ABSTAIN_LABEL, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """What a threshold does, measured; rates are fractions of one.

    Attributes:
        in_scope_accuracy: The share of in-scope texts that get their label; abstaining counts as an error.
        in_scope_accuracy_before: The same without a threshold.
        out_of_scope_recall: The share of out-of-scope texts on which the classifier abstains.
        in_scope_texts: The number of in-scope texts.
        out_of_scope_texts: The number of out-of-scope texts.
    """

    in_scope_accuracy: float
    in_scope_accuracy_before: float
    out_of_scope_recall: float
    in_scope_texts: int
    out_of_scope_texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A chosen threshold, measured on the texts it was chosen on and, where there are any, on others."""

    threshold: float
    abstain_label: str
    chosen_on: Abstention
    judged_on: Abstention | None


@dataclass(frozen=True, slots=True)
class _Scores:
    """The best label's score and correctness for in-scope texts, and its score for out-of-scope texts."""

    inside: NDArray[np.float64]
    right: NDArray[np.bool_]
    outside: NDArray[np.float64]

    def at(self, threshold: float) -> Abstention:
        return Abstention(
            in_scope_accuracy=float(np.mean(self.right & (self.inside >= threshold))),
            in_scope_accuracy_before=float(np.mean(self.right)),
            out_of_scope_recall=float(np.mean(self.outside < threshold)),
            in_scope_texts=len(self.inside),
            out_of_scope_texts=len(self.outside),
        )


def calibrate(
    folder: Path,
    corpus: Corpus,
    out_of_scope: Corpus,
    *,
    out_of_scope_test: Corpus | None = None,
    abstain_label: str | None = None,
) -> Calibration:
    """Choose the threshold and write it into the bundle's manifest.

    The threshold maximizes the mean of in-scope accuracy and out-of-scope recall, so that it does not depend
    on the numbers of texts of either kind. It is chosen on the validation split, where there is one, and
    measured on the test split.

    Args:
        folder: The bundle; only its `mkd.json` is changed, in one step.
        corpus: Labelled texts of the bundle's labels.
        out_of_scope: Texts of none of these labels; if they have labels, these are ignored.
        out_of_scope_test: Other out-of-scope texts, to measure the chosen threshold.
        abstain_label: The answer below the threshold; None takes ``out_of_scope``.

    Raises:
        ConfigError: If the bundle's task isn't single-label.
        DataError: If a text has no label, or one that the bundle doesn't know.
    """
    bundle = open_bundle(folder)
    if bundle.manifest.task is not Task.SINGLE_LABEL:
        raise ConfigError(f"{folder} is {bundle.manifest.task}: only a single-label bundle abstains")
    classifier = Classifier.load(folder, threshold=0.0)
    choosing = "validation" if "validation" in corpus.splits else corpus.evaluation_split()
    scores = _score(classifier, corpus, choosing, out_of_scope)
    threshold = best_threshold(scores.inside, scores.right, scores.outside)
    judged = None
    if out_of_scope_test is not None and choosing != "test" and "test" in corpus.splits:
        judged = _score(classifier, corpus, "test", out_of_scope_test).at(threshold)
    found = Calibration(
        threshold=threshold,
        abstain_label=abstain_label or ABSTAIN_LABEL,
        chosen_on=scores.at(threshold),
        judged_on=judged,
    )
    quality = {**bundle.manifest.quality, "abstention": asdict(found)}
    write_manifest(
        folder,
        replace(bundle.manifest, quality=quality, threshold=threshold, abstain_label=found.abstain_label),
    )
    return found


def best_threshold(
    inside: NDArray[np.float64], right: NDArray[np.bool_], outside: NDArray[np.float64]
) -> float:
    """Return the lowest threshold that maximizes the mean of in-scope accuracy and out-of-scope recall.

    Args:
        inside: (N,) scores of texts in scope.
        right: (N,) whether the best label of each is right.
        outside: (M,) scores of texts out of scope.
    """
    # Between two neighbouring scores nothing changes: take the middle.
    scores = np.unique(np.concatenate([inside, outside]))
    candidates = np.concatenate([[0.0], (scores[1:] + scores[:-1]) / 2])
    kept = np.sort(inside[right])
    accuracy = (len(kept) - np.searchsorted(kept, candidates)) / len(inside)
    recall = np.searchsorted(np.sort(outside), candidates) / len(outside)
    return float(candidates[np.argmax(accuracy + recall)])


def _score(classifier: Classifier, corpus: Corpus, split: str, out_of_scope: Corpus) -> _Scores:
    inside = list(corpus.read(split))
    outside = [e for name in out_of_scope.splits for e in out_of_scope.read(name)]
    known = set(classifier.labels)
    for number, example in enumerate(inside, start=1):
        if example.label not in known:
            raise DataError(
                f"{corpus.split(split)}, row {number}: the bundle has no label {example.label!r}; "
                "texts of no label belong to --oos"
            )
    answers = _ask(classifier, inside)
    return _Scores(
        np.array([score for _, score in answers]),
        np.array([label == e.label for (label, _), e in zip(answers, inside, strict=True)]),
        np.array([score for _, score in _ask(classifier, outside)]),
    )


def _ask(classifier: Classifier, examples: Sequence[Example]) -> list[tuple[str, float]]:
    texts = (example.content for example in examples)
    # One at a time, as an app asks: an int8 score moves a little with the texts that share its batch.
    return [(answer.label, answer.score) for answer in classifier.stream(texts, window=1)]
