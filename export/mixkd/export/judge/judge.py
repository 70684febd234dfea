"""How a graph answers on real texts, against the labels and against the PyTorch student."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mixkd.bench.report.quality import decide, truth
from mixkd.corpus.corpus import Corpus
from mixkd.errors import DataError
from mixkd.export.sessions import session_of
from mixkd.metrics import HEADLINE, evaluate
from mixkd.runtime.encoding import Encoder, Text
from mixkd.runtime.predictor import Predictor
from mixkd.task import Task

Logits = NDArray[np.float32]

SAME_NUMBER = 0.01
"""Two answers of a regression agree when they differ by less than this share of the answers' range."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The texts that are judged on.

    Attributes:
        split: Their split.
        texts: (N,).
        target: (N, C) as `truth` returns it; rows without a label are NaN.
        task: What the outputs mean.
    """

    split: str
    texts: tuple[Text, ...]
    target: NDArray[np.float64]
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The answers of a student in three forms on the same texts; rates are fractions of one.

    Attributes:
        split: The split they were judged on.
        rows: Its texts.
        metric: The task's headline metric.
        student: Of the PyTorch student.
        fp32: Of its fp32 graph.
        int8: Of its int8 graph; None where nothing was quantized.
        fp32_agreement: Share of texts that the fp32 graph answers as PyTorch does.
        int8_agreement: The same for the int8 graph.
    """

    split: str
    rows: int
    metric: str
    student: float
    fp32: float
    int8: float | None
    fp32_agreement: float
    int8_agreement: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the measures as JSON values."""
        return asdict(self)


class Judge:
    """Examples, and what the PyTorch student answers to them."""

    def __init__(self, examples: Examples, reference: Logits, *, tokenizer: Path, max_length: int) -> None:
        self.examples = examples
        self.reference = reference
        self._tokenizer = tokenizer
        self._max_length = max_length

    @property
    def metric(self) -> str:
        """The name of the task's headline metric."""
        return HEADLINE[self.examples.task]

    @property
    def student_score(self) -> float:
        """The headline metric of the PyTorch student."""
        return self.score(self.reference)

    def answer(
        self, model: onnx.ModelProto, *, batch_tokens: int, rows: Sequence[int] | None = None
    ) -> Logits:
        """Return a graph's logits, (N, C), as the runtime computes them.

        Args:
            model: The graph.
            batch_tokens: Padded tokens per call. int8 is judged one text at a time (1), as an app calls it:
                the scales of its activations are those of the whole batch.
            rows: Which texts; None takes all.
        """
        texts = self.examples.texts if rows is None else [self.examples.texts[i] for i in rows]
        session = session_of(model)
        inputs = [value.name for value in session.get_inputs()]
        encoder = Encoder.from_folder(self._tokenizer, max_length=self._max_length, inputs=inputs)
        return Predictor(session, encoder).outputs(texts, max_batch_tokens=batch_tokens)

    def feeds(self, inputs: Sequence[str], count: int) -> list[dict[str, NDArray[np.int64]]]:
        """Return what a graph with these inputs takes for some texts, evenly spread, each alone."""
        encoder = Encoder.from_folder(self._tokenizer, max_length=self._max_length, inputs=inputs)
        step = max(1, len(self.examples.texts) // count)
        return [encoder.feed([tokens]) for tokens in encoder.encode(self.examples.texts[::step][:count])]

    def score(self, logits: Logits, *, rows: Sequence[int] | None = None) -> float:
        """Return the task's headline metric on the labelled rows, or on some rows, a fraction of one."""
        task, chosen = self.examples.task, slice(None) if rows is None else list(rows)
        return evaluate(logits[chosen], self.examples.target[chosen], task)[self.metric]

    def agreement(self, logits: Logits) -> float:
        """Return the share of texts answered as the PyTorch student answers them, right or wrong."""
        return float(same_answers(logits, self.reference, self.examples.task).mean())

    def quality(self, fp32: Logits, int8: Logits | None) -> Quality:
        """Put the three forms side by side."""
        return Quality(
            split=self.examples.split,
            rows=len(self.examples.texts),
            metric=self.metric,
            student=self.student_score,
            fp32=self.score(fp32),
            int8=None if int8 is None else self.score(int8),
            fp32_agreement=self.agreement(fp32),
            int8_agreement=None if int8 is None else self.agreement(int8),
        )


def read_examples(corpus: Corpus, split: str, labels: Sequence[str], task: Task) -> Examples:
    """Read a split.

    Raises:
        DataError: If it has no labels, or one that the student hasn't got.
    """
    rows = list(corpus.read(split))
    target = truth([row.label for row in rows], labels, task)
    if np.isnan(target).all():
        raise DataError(
            f"{corpus.split(split)} has no labels to judge on: name the column with --label-column"
        )
    texts = tuple(row.text if row.text2 is None else (row.text, row.text2) for row in rows)
    return Examples(split, texts, target, task)


def same_answers(first: Logits, second: Logits, task: Task) -> NDArray[np.bool_]:
    """Tell for each row, (N,), whether two sets of logits, (N, C), mean the same answer."""
    if task is Task.REGRESSION:
        same = np.abs(first - second) <= SAME_NUMBER * max(float(np.ptp(second)), 1e-9)
    else:
        same = decide(first.astype(np.float64), task) == decide(second.astype(np.float64), task)
    return np.asarray(same.all(axis=1))
