"""What int8 changed: how many texts got another label, and whether that is more than chance."""

from collections import Counter
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from mixkd.export.judge.judge import Examples, Logits
from mixkd.export.judge.recall import recalls
from mixkd.metrics import calibration_error
from mixkd.runtime.encoding import Text
from mixkd.task import Task

MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which int8 changed the label of texts.

    Attributes:
        label: The true label, None for texts without one.
        fp32: The label of the fp32 graph.
        int8: The label of the int8 graph.
        texts: How many texts.
    """

    label: str | None
    fp32: str
    int8: str
    texts: int


@dataclass(frozen=True, slots=True)
class Example:
    """A text whose label changed.

    Attributes:
        text: The text or pair.
        label: Its true label, None where it has none.
        fp32: The label of the fp32 graph.
        int8: The label of the int8 graph.
    """

    text: Text
    label: str | None
    fp32: str
    int8: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChanges:
    """How the labels of the int8 graph differ from those of the fp32 graph; rates are fractions of one.

    Attributes:
        flipped: Texts whose label changed.
        changes: By true label and both answers, the most frequent first, `MOST_LISTED` at most.
        examples: The first of the texts, `MOST_LISTED` at most; none unless they may be published.
        repaired: Flipped texts that only int8 answers right.
        broken: Flipped texts that only fp32 answers right.
        mcnemar_p: McNemar's exact two-sided p-value: is one graph more often right than the other?
        fp32_ece: Expected calibration error of the fp32 graph, 15 equal bins.
        int8_ece: The same of the int8 graph.
        recall: Per label that has texts: recall of the fp32 and of the int8 graph.
    """

    flipped: int
    changes: tuple[Change, ...]
    examples: tuple[Example, ...]
    repaired: int
    broken: int
    mcnemar_p: float
    fp32_ece: float
    int8_ece: float
    recall: dict[str, tuple[float, float]]


def compare(examples: Examples, fp32: Logits, int8: Logits, *, publish: bool = False) -> LabelChanges | None:
    """Compare the two graphs' answers; None for tasks without exactly one label per text.

    Args:
        examples: The texts and their labels.
        fp32: The fp32 graph's logits, (N, C).
        int8: The int8 graph's logits, (N, C).
        publish: Whether the comparison may hold texts.
    """
    if examples.task is not Task.SINGLE_LABEL:
        return None
    labels, before, after = examples.labels, fp32.argmax(axis=1), int8.argmax(axis=1)
    known: NDArray[np.bool_] = np.isfinite(examples.target.sum(axis=1))
    truth = np.where(known, np.nan_to_num(examples.target).argmax(axis=1), -1)
    right_before: NDArray[np.bool_] = np.equal(before, truth)
    right_after: NDArray[np.bool_] = np.equal(after, truth)
    repaired, broken = int((right_after & ~right_before).sum()), int((right_before & ~right_after).sum())
    flipped = np.flatnonzero(before != after)
    found = [
        Example(
            examples.texts[i], labels[truth[i]] if known[i] else None, labels[before[i]], labels[after[i]]
        )
        for i in flipped
    ]
    counts = Counter((flip.label, flip.fp32, flip.int8) for flip in found)
    return LabelChanges(
        flipped=len(flipped),
        changes=tuple(Change(*change, count) for change, count in counts.most_common(MOST_LISTED)),
        examples=tuple(found[:MOST_LISTED]) if publish else (),
        repaired=repaired,
        broken=broken,
        mcnemar_p=mcnemar(repaired, broken),
        fp32_ece=calibration_error(fp32[known], right_before[known]),
        int8_ece=calibration_error(int8[known], right_after[known]),
        recall={
            name: (float(old), float(new))
            for name, old, new in zip(labels, recalls(fp32, examples), recalls(int8, examples), strict=True)
            if not np.isnan(old)
        },
    )


def mcnemar(repaired: int, broken: int) -> float:
    """Return the exact two-sided p-value of these counts if both directions were equally likely."""
    total = repaired + broken
    tail: float = sum(comb(total, k) for k in range(min(repaired, broken) + 1)) / 2**total
    return min(1.0, 2 * tail)
