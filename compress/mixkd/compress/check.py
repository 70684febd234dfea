"""Data checks that run before training."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from mixkd.corpus.corpus import Corpus, Example
from mixkd.labels import LabelNames, LabelSpace, are_scores, names_of

TRUNCATION_SAMPLE = 10_000
"""Training texts whose tokens are counted to estimate the share that is truncated."""

_CHUNK = 1000
_NAMED = 5


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """What was counted in one split.

    Attributes:
        rows: Texts or pairs.
        empty: Rows whose text is blank.
        unlabelled: Rows without a label.
        duplicates: Rows whose text is that of an earlier row, up to case and white space.
        classes: Rows per label name.
        digests: (rows,) a 64-bit digest of every text, to find it in other splits.
    """

    rows: int
    empty: int
    unlabelled: int
    duplicates: int
    classes: Mapping[str, int]
    digests: NDArray[np.uint64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What was found in the splits.

    Attributes:
        splits: By name.
        warnings: Problems of the data, one sentence each.
    """

    splits: Mapping[str, SplitCheck]
    warnings: tuple[str, ...]


def check_data(
    corpus: Corpus,
    *,
    labels: LabelSpace | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    max_length: int | None = None,
) -> DataCheck:
    """Read every split once and report its problems.

    Args:
        corpus: The data.
        labels: The teacher's label space; every label must be one of it.
        tokenizer: The teacher's; with `max_length` the share of truncated texts is estimated.
        max_length: Tokens per text.

    Raises:
        DataError: If a split is malformed, or has a label that isn't one of `labels`.
    """
    checker = DataChecker(corpus, labels=labels, tokenizer=tokenizer, max_length=max_length)
    for split in corpus.splits:
        for row, example in enumerate(checker.watch(split), start=1):
            if labels is not None:
                labels.encode(example.label, where=corpus.where(split, row))
    return checker.result()


class DataChecker:
    """Checks data while it is read for another purpose, such as to tokenise it.

    Args:
        corpus: The data.
        labels: As for `check_data`, but labels outside of it are left to whoever encodes them.
        tokenizer: As for `check_data`.
        max_length: As for `check_data`.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        labels: LabelSpace | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        max_length: int | None = None,
    ) -> None:
        self._corpus = corpus
        self._labels = labels
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._splits: dict[str, SplitCheck] = {}
        self._longer, self._sampled = 0, 0

    def watch(self, split: str) -> Iterator[Example]:
        """Yield the examples of a split and check them on the way.

        Raises:
            DataError: If the split is malformed, or one of its labels is not a finite number.
        """
        digests = array("Q")  # eight bytes a row
        names, classes = LabelNames(), Counter[str]()
        empty = unlabelled = 0
        sample: list[Example] = []
        for row, example in enumerate(self._corpus.read(split), start=1):
            digests.append(_digest(example))
            empty += not example.text.strip()
            unlabelled += example.label is None
            names.add(example.label, row=row)
            if self._labels is None or self._labels.categorical:
                classes.update(names_of(example.label))
            if split == "train" and row <= TRUNCATION_SAMPLE:
                sample.append(example)
            if len(sample) == _CHUNK:
                self._count_longer(sample)
                sample = []
            yield example
        self._count_longer(sample)
        names.check_finite(self._corpus, split)
        found = np.array(digests, np.uint64)
        duplicates = len(found) - len(np.unique(found))
        self._splits[split] = SplitCheck(len(found), empty, unlabelled, duplicates, classes, found)

    def result(self) -> DataCheck:
        """Return what was found in the splits that were read to their end."""
        splits = self._splits
        warnings = [line for name, split in splits.items() for line in _problems(name, split)]
        warnings += _leaks(splits)
        warnings += _missing_classes(splits, self._labels)
        if self._longer:
            share = 100 * self._longer / self._sampled
            warnings.append(f"train: {share:.1f} % of the texts are longer than {self._max_length} tokens")
        return DataCheck(splits, tuple(warnings))

    def _count_longer(self, sample: list[Example]) -> None:
        if self._tokenizer is None or self._max_length is None or not sample:
            return
        pairs = [e.text2 or "" for e in sample] if sample[0].text2 is not None else None
        limit = {"truncation": True, "max_length": self._max_length + 1}
        encoded = self._tokenizer([e.text for e in sample], pairs, **limit)
        self._longer += sum(len(ids) > self._max_length for ids in encoded["input_ids"])
        self._sampled += len(sample)


def _digest(example: Example) -> int:
    # Case and white space don't make another text.
    text = "\0".join(" ".join(part.lower().split()) for part in (example.text, example.text2 or ""))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _problems(name: str, split: SplitCheck) -> list[str]:
    lines = []
    if split.empty:
        lines.append(f"{name}: {split.empty} of {split.rows} texts are empty")
    if split.unlabelled and split.unlabelled < split.rows:
        lines.append(f"{name}: {split.unlabelled} of {split.rows} texts have no label")
    if split.duplicates:
        lines.append(f"{name}: {split.duplicates} of {split.rows} texts are duplicates")
    return lines


def _leaks(splits: Mapping[str, SplitCheck]) -> list[str]:
    lines = []
    for seen, judged in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if seen in splits and judged in splits:
            shared = int(np.isin(splits[judged].digests, splits[seen].digests).sum())
            if shared:
                lines.append(f"{judged}: {shared} of {splits[judged].rows} texts are also in {seen}")
    return lines


def _missing_classes(splits: Mapping[str, SplitCheck], labels: LabelSpace | None) -> list[str]:
    known = set(labels.names) if labels is not None and labels.categorical else set()
    known.update(*(split.classes for split in splits.values()))
    if are_scores(known):
        return []  # the values of a regression
    lines = []
    for name, split in splits.items():
        missing = sorted(known - set(split.classes))
        if missing and split.classes:
            named = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
            lines.append(f"{name}: {len(missing)} of {len(known)} classes have no text: {named}")
    return lines
