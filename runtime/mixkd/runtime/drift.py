"""Whether new texts are like those a bundle was measured on: labels, scores, lengths and unknown pieces.

The export keeps four histograms of the texts it measured on in the manifest, and no text. New texts are
compared with each of them:

* the size of the difference is the total variation distance, the share of texts that would have to move to
  another bin, less what two samples of these sizes differ by anyway;
* its p-value is the share of pairs of samples, drawn from both together, whose χ² is at least as large.

They drift where the size is at least `LEAST` and the p-value below `SIGNIFICANT`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixkd.corpus.corpus import Corpus
from mixkd.errors import BundleError, DataError
from mixkd.runtime.bundle import open_bundle, write_manifest
from mixkd.runtime.classifier import Classifier
from mixkd.runtime.encoding import Encoder, Text
from mixkd.runtime.manifest import TOKENIZER_FILE
from mixkd.task import Task

REFERENCE = "reference"
"""Where the profile stands in the quality of a manifest."""

LEAST = 0.02
SIGNIFICANT = 0.001
_DRAWS = 10_000
_SCORE_BINS = 20
_LENGTH_BINS = 18  # by powers of two: the last one begins at the longest length that a manifest may have

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Histograms of some texts; no text can be read from them.

    Attributes:
        labels: Texts that get each label, in the order of the manifest's; of a regression none.
        scores: Texts by the best label's score, in equal bins from 0 to 1; of a regression by the answer,
            from `low` to `high`, what lies outside in the first and the last bin.
        lengths: Texts by tokens, special ones included, in bins that begin at 1, 2, 4, 8, ...
        unknown: Texts without, and with, a piece that the tokenizer doesn't know.
        low: The lowest score of the reference.
        high: The highest.
    """

    labels: tuple[int, ...]
    scores: tuple[int, ...]
    lengths: tuple[int, ...]
    unknown: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def from_json(cls, body: object) -> "Profile":
        """Read what `asdict` made of a profile.

        Raises:
            ValueError: If it is anything else.
        """
        if not isinstance(body, Mapping) or body.keys() != {*_HISTOGRAMS, "low", "high"}:
            raise ValueError("it is not a profile")
        if not all(isinstance(body[name], (int, float)) for name in ("low", "high")):
            raise ValueError("its limits are no numbers")
        histograms = {name: _counts(body[name]) for name in _HISTOGRAMS}
        return cls(**histograms, low=float(body["low"]), high=float(body["high"]))


_HISTOGRAMS = ("labels", "scores", "lengths", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one histogram differs; rates are fractions of one.

    Attributes:
        of: What was counted.
        size: The total variation distance less what chance gives; from 0 to 1.
        p: How often chance alone gives as much.
        drifts: Whether the texts differ more than by chance, and by enough to care.
    """

    of: str
    size: float
    p: float
    drifts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """New texts against the reference.

    Attributes:
        texts: How many new texts.
        reference_texts: How many stand in the reference.
        differences: One for each histogram.
    """

    texts: int
    reference_texts: int
    differences: tuple[Difference, ...]

    @property
    def found(self) -> bool:
        """Whether any histogram drifts."""
        return any(difference.drifts for difference in self.differences)


def drift(folder: Path, corpus: Corpus, *, split: str | None = None) -> Drift:
    """Compare texts, with or without labels, with those the bundle was measured on.

    Args:
        folder: The bundle.
        corpus: The texts.
        split: Of the corpus; None takes all its splits.

    Raises:
        BundleError: If the bundle holds no reference: it was exported without data.
        DataError: If there are no texts.
    """
    classifier = Classifier.load(folder)
    body = classifier.manifest.quality.get(REFERENCE)
    if body is None:
        raise BundleError(f"{folder} has no reference to compare with: export it again with --data")
    try:
        reference = Profile.from_json(body)
    except ValueError as error:
        raise BundleError(f"{folder} has a damaged reference ({error}): export it again") from error
    splits = [split] if split else list(corpus.splits)
    texts = [row.content for name in splits for row in corpus.read(name)]
    if not texts:
        raise DataError("there are no texts to compare")
    found = profile(classifier, folder, texts, limits=(reference.low, reference.high))
    return compare(reference, found)


def write_reference(folder: Path, corpus: Corpus) -> None:
    """Write the profile of the texts that a bundle is measured on into its manifest.

    Args:
        folder: The bundle.
        corpus: Its evaluation split is read.
    """
    manifest = open_bundle(folder).manifest
    quality = {**manifest.quality, REFERENCE: reference_of(folder, corpus)}
    write_manifest(folder, replace(manifest, quality=quality))


def reference_of(folder: Path, corpus: Corpus) -> dict[str, Any]:
    """Return the profile of a corpus's evaluation split, as the manifest holds it."""
    texts = [row.content for row in corpus.read(corpus.evaluation_split())]
    own = Classifier.load(folder, expect_sha256=open_bundle(folder).sha256)  # no stranger's
    return asdict(profile(own, folder, texts))


def profile(
    classifier: Classifier,
    folder: Path,
    texts: Sequence[Text],
    *,
    limits: tuple[float, float] | None = None,
) -> Profile:
    """Ask a classifier, and count.

    Args:
        classifier: The bundle.
        folder: Where it is.
        texts: The texts.
        limits: The lowest and highest score of a regression's reference; None takes those of these texts.
    """
    manifest = classifier.manifest
    encoder = Encoder.from_folder(folder, max_length=manifest.max_length, inputs=manifest.inputs)
    unknown_id = _unknown_id(folder)
    tokens = [encoder.encode_one(text).ids for text in texts]
    lengths, unknown = np.array([len(ids) for ids in tokens]), np.array([unknown_id in ids for ids in tokens])
    # One at a time, as an app asks: an int8 score moves a little with the texts that share its batch.
    scores = np.stack([classifier.predict_proba(text) for text in texts])
    labels: NDArray[np.int64] = np.zeros(0, np.int64)
    low, high = 0.0, 1.0
    if classifier.manifest.task is Task.REGRESSION:
        low, high = limits or (float(scores.min()), float(scores.max()))
    else:
        best = scores >= 0.5 if classifier.manifest.task is Task.MULTI_LABEL else scores.argmax(axis=1)
        labels = best.sum(axis=0) if best.ndim == 2 else np.bincount(best, minlength=scores.shape[1])
    width = max(high - low, 1e-9) / _SCORE_BINS
    score_bins = np.clip((scores.max(axis=1) - low) // width, 0, _SCORE_BINS - 1).astype(np.int64)
    length_bins = np.minimum(np.log2(np.maximum(lengths, 1)).astype(np.int64), _LENGTH_BINS - 1)
    return Profile(
        labels=tuple(labels.tolist()),
        scores=tuple(np.bincount(score_bins, minlength=_SCORE_BINS).tolist()),
        lengths=tuple(np.bincount(length_bins, minlength=_LENGTH_BINS).tolist()),
        unknown=(int((~unknown).sum()), int(unknown.sum())),
        low=low,
        high=high,
    )


def compare(reference: Profile, found: Profile, *, seed: int = 0) -> Drift:
    """Compare two profiles of one bundle, by its four histograms."""
    rng = np.random.default_rng(seed)
    differences = []
    for name in _HISTOGRAMS:
        before, after = (np.array(getattr(each, name), np.int64) for each in (reference, found))
        if before.sum() and after.sum():
            differences.append(_difference(name, before, after, rng))
    return Drift(
        texts=sum(found.lengths), reference_texts=sum(reference.lengths), differences=tuple(differences)
    )


def _difference(name: str, before: Counts, after: Counts, rng: np.random.Generator) -> Difference:
    if len(before) != len(after):
        raise BundleError(f"the reference has {len(before)} {name}, and the bundle {len(after)}")
    together = before + after
    kept = together > 0
    first, second = before[kept], after[kept]
    shares = together[kept] / together.sum()
    drawn = [rng.multinomial(int(side.sum()), shares, size=_DRAWS) for side in (first, second)]
    size, statistic = _distance(first[None], second[None]), _chi_square(first[None], second[None])
    by_chance = _distance(*drawn).mean()
    p = float((1 + (_chi_square(*drawn) >= statistic).sum()) / (1 + _DRAWS))
    beyond = max(0.0, float(size[0] - by_chance))
    return Difference(of=name, size=beyond, p=p, drifts=beyond >= LEAST and p < SIGNIFICANT)


def _distance(first: Counts, second: Counts) -> NDArray[np.float64]:
    """Total variation distance of each row, (D,), between two sets of counts, (D, K)."""
    shares = [counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) for counts in (first, second)]
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=1) / 2)


def _chi_square(first: Counts, second: Counts) -> NDArray[np.float64]:
    """χ² of each row, (D,), of the table of two samples and K bins."""
    n, m = (counts.sum(axis=1, keepdims=True) for counts in (first, second))
    together = np.maximum(first + second, 1)
    gap = np.sqrt(m / n) * first - np.sqrt(n / m) * second
    return np.asarray((gap**2 / together).sum(axis=1))


def _counts(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not all(type(count) is int and count >= 0 for count in value):
        raise ValueError("its counts are no whole numbers")
    return tuple(value)


def _unknown_id(folder: Path) -> int | None:
    """Return the id of the piece for what the tokenizer doesn't know; None where it knows every byte."""
    body = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    model = body["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    vocab, token = model.get("vocab"), model.get("unk_token")
    return vocab.get(token) if isinstance(vocab, dict) and token is not None else None
