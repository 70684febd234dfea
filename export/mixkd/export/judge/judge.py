"""Measures how graphs answer the texts of a split: against their labels, and against the PyTorch student."""

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
from mixkd.export.judge.reference import TorchModel
from mixkd.export.sessions import session_of
from mixkd.export.student import Student
from mixkd.metrics import HEADLINE, evaluate
from mixkd.runtime.encoding import Encoder, Text
from mixkd.runtime.predictor import Predictor
from mixkd.task import Task

Logits = NDArray[np.float32]

SAME_NUMBER = 0.01
"""Two answers of a regression agree if they differ by less than this share of the range of the answers."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The texts of one split, with labels.

    Attributes:
        split: The split.
        texts: (N,).
        target: (N, C) as `truth` returns it; a row without a label is NaN.
        task: What the outputs mean.
        labels: (C,), the names of the outputs.
    """

    split: str
    texts: tuple[Text, ...]
    target: NDArray[np.float64]
    task: Task
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportQuality:
    """The answers of a student in three forms to the same texts; rates are fractions of one.

    Attributes:
        split: The split of the texts.
        rows: How many texts.
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
    """The texts of one split, and the PyTorch student's answers to them."""

    def __init__(self, examples: Examples, reference: Logits, *, tokenizer: Path, max_length: int) -> None:
        """Keep the texts.

        Args:
            examples: The texts and their labels.
            reference: The PyTorch student's logits, (N, C).
            tokenizer: The folder with the bundle's tokenizer.
            max_length: Tokens per text.
        """
        self.examples = examples
        self.reference = reference
        self._tokenizer = tokenizer
        self._max_length = max_length

    @classmethod
    def of_split(cls, corpus: Corpus, split: str, student: Student, *, tokenizer: Path) -> "Judge":
        """Read a split and ask the PyTorch student.

        Raises:
            DataError: If the split has no labels, or one that the student doesn't have.
            ModelError: If the student gives NaN.
        """
        examples = read_examples(corpus, split, student.labels, student.task)
        reference = TorchModel(student.folder, max_length=student.max_length).logits(examples.texts)
        student.check_logits(reference, of=f"the PyTorch model on the {split} split")
        return cls(examples, reference, tokenizer=tokenizer, max_length=student.max_length)

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
            batch_tokens: Tokens per call, padding included. int8 is measured one text at a time (`ALONE`), as
                an app calls it, because the scales of the activations depend on the whole batch.
            rows: Which texts; None takes all.
        """
        texts = self.examples.texts if rows is None else [self.examples.texts[i] for i in rows]
        return graph_logits(
            model,
            texts,
            tokenizer=self._tokenizer,
            max_length=self._max_length,
            batch_tokens=batch_tokens,
        )

    def feeds(self, inputs: Sequence[str], count: int) -> list[dict[str, NDArray[np.int64]]]:
        """Return the inputs of a graph for some of the texts, evenly spaced, each text alone."""
        encoder = Encoder.from_folder(self._tokenizer, max_length=self._max_length, inputs=inputs)
        step = max(1, len(self.examples.texts) // count)
        return [encoder.feed([tokens]) for tokens in encoder.encode(self.examples.texts[::step][:count])]

    def score(self, logits: Logits, *, rows: Sequence[int] | None = None) -> float:
        """Return the task's headline metric on the labelled rows, or on the labelled ones of some rows."""
        task, chosen = self.examples.task, slice(None) if rows is None else list(rows)
        return evaluate(logits[chosen], self.examples.target[chosen], task)[self.metric]

    def agreement(self, logits: Logits) -> float:
        """Return the share of texts that get the PyTorch student's answer, right or wrong."""
        return float(same_answers(logits, self.reference, self.examples.task).mean())

    def quality(self, fp32: Logits, int8: Logits | None) -> ExportQuality:
        """Compare PyTorch, the fp32 graph and the int8 graph by their logits, (N, C) each."""
        return ExportQuality(
            split=self.examples.split,
            rows=len(self.examples.texts),
            metric=self.metric,
            student=self.student_score,
            fp32=self.score(fp32),
            int8=None if int8 is None else self.score(int8),
            fp32_agreement=self.agreement(fp32),
            int8_agreement=None if int8 is None else self.agreement(int8),
        )


def graph_logits(
    model: onnx.ModelProto, texts: Sequence[Text], *, tokenizer: Path, max_length: int, batch_tokens: int
) -> Logits:
    """Return a graph's logits, (N, C), for N texts, as the runtime computes them.

    Args:
        model: The graph.
        texts: The texts or pairs.
        tokenizer: The folder with the tokenizer.
        max_length: Tokens per text.
        batch_tokens: Tokens per call, padding included; `ALONE` answers each text alone.
    """
    session = session_of(model)
    inputs = [value.name for value in session.get_inputs()]
    encoder = Encoder.from_folder(tokenizer, max_length=max_length, inputs=inputs)
    return Predictor(session, encoder).outputs(texts, max_batch_tokens=batch_tokens)


def read_examples(corpus: Corpus, split: str, labels: Sequence[str], task: Task) -> Examples:
    """Read a split.

    Raises:
        DataError: If it has no labels, or one that the student doesn't have.
    """
    rows = list(corpus.read(split))
    target = truth([row.label for row in rows], labels, task)
    if np.isnan(target).all():
        raise DataError(f"{corpus.split(split)} has no labels: name their column with --label-column")
    return Examples(split, tuple(row.content for row in rows), target, task, tuple(labels))


def same_answers(first: Logits, second: Logits, task: Task) -> NDArray[np.bool_]:
    """Return for each row, (N,), whether two sets of logits, (N, C), give the same answer."""
    if task is Task.REGRESSION:
        same = np.abs(first - second) <= SAME_NUMBER * max(float(np.ptp(second)), 1e-9)
    else:
        same = decide(first.astype(np.float64), task) == decide(second.astype(np.float64), task)
    return np.asarray(same.all(axis=1))
