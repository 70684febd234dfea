"""What can be said of data, and of data and a teacher, before a minute is spent on training."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from mixkd.corpus.corpus import Corpus, Example
from mixkd.labels import LabelSpace, are_scores, names_of

TRUNCATION_SAMPLE = 10_000
"""Texts whose tokens are counted to tell the share that is truncated."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """What was counted in one split.

    Attributes:
        rows: Texts or pairs.
        empty: Rows whose text is blank.
        unlabelled: Rows without a label.
        duplicates: Rows whose text stood in the split before.
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
    """The splits that were read, and what a user should know of them.

    Attributes:
        splits: By name.
        warnings: One sentence each; empty where nothing is odd.
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
    """Read every split once and report what is odd.

    Args:
        corpus: The data.
        labels: The teacher's label space; its labels are looked for in the data.
        tokenizer: The teacher's; with `max_length` the share of truncated texts is estimated.
        max_length: Tokens per text.

    Raises:
        DataError: If a split is malformed, or has a label that isn't one of `labels`.
    """
    splits = {name: _check_split(corpus, name, labels) for name in corpus.splits}
    warnings = [line for name, split in splits.items() for line in _oddities(name, split)]
    warnings += _leaks(splits)
    warnings += _missing_classes(splits, labels)
    if tokenizer is not None and max_length is not None and "train" in splits:
        warnings += _truncation(corpus, tokenizer, max_length)
    return DataCheck(splits, tuple(warnings))


def _check_split(corpus: Corpus, name: str, labels: LabelSpace | None) -> SplitCheck:
    digests = array("Q")  # eight bytes a row, however many there are
    classes: Counter[str] = Counter()
    empty = unlabelled = 0
    for number, example in enumerate(corpus.read(name), start=1):
        digests.append(_digest(example))
        empty += not example.text.strip()
        unlabelled += example.label is None
        if labels is not None:
            labels.encode(example.label, where=f"{corpus.split(name)}, row {number}")
        if labels is None or labels.categorical:
            classes.update(names_of(example.label))
    found = np.array(digests, np.uint64)
    return SplitCheck(len(found), empty, unlabelled, len(found) - len(np.unique(found)), classes, found)


def _digest(example: Example) -> int:
    # Spaces and capitals make no other text of it.
    text = "\0".join(" ".join(part.lower().split()) for part in (example.text, example.text2 or ""))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _oddities(name: str, split: SplitCheck) -> list[str]:
    lines = []
    if split.empty:
        lines.append(f"{name}: {split.empty} of {split.rows} texts are empty")
    if split.unlabelled and split.unlabelled < split.rows:
        lines.append(f"{name}: {split.unlabelled} of {split.rows} texts have no label")
    if split.duplicates:
        lines.append(f"{name}: {split.duplicates} of {split.rows} texts stand there more than once")
    return lines


def _leaks(splits: Mapping[str, SplitCheck]) -> list[str]:
    lines = []
    for seen, judged in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if seen in splits and judged in splits:
            shared = int(np.isin(splits[judged].digests, splits[seen].digests).sum())
            if shared:
                lines.append(f"{judged}: {shared} of {splits[judged].rows} texts also stand in {seen}")
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


def _truncation(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[str]:
    sample = list(islice(corpus.read("train"), TRUNCATION_SAMPLE))
    pairs = [e.text2 or "" for e in sample] if sample[0].text2 is not None else None
    encoded = tokenizer([e.text for e in sample], pairs, truncation=True, max_length=max_length + 1)
    longer = sum(len(ids) > max_length for ids in encoded["input_ids"])
    if not longer:
        return []
    return [f"train: {100 * longer / len(sample):.1f} % of the texts are longer than {max_length} tokens"]
