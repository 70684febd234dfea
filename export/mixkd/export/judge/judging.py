"""The judges of an export: the splits of the data, and the PyTorch student's answers to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mixkd.corpus.corpus import Corpus
from mixkd.export.int8.quantize import Ranges
from mixkd.export.int8.ranges import measure_ranges
from mixkd.export.judge.judge import Judge, read_examples
from mixkd.export.judge.reference import TorchModel
from mixkd.export.student import Student
from mixkd.runs import data_fingerprint

Progress = Callable[[str], None]

CALIBRATION_TEXTS = 300
"""Texts that the ranges are measured on, at least, where there are as many."""


class Judges:
    """The judges of the splits that are used, each made when it is first asked for."""

    def __init__(self, student: Student, corpus: Corpus | None, folder: Path, progress: Progress) -> None:
        self._student = student
        self._corpus = corpus
        self._folder = folder
        self._progress = progress
        self._made: dict[str, Judge] = {}

    def to_choose(self) -> Judge | None:
        """Return the judge of the validation split, or of what there is."""
        if self._corpus is None:
            return None
        splits = self._corpus.splits
        return self._judge("validation" if "validation" in splits else self._corpus.evaluation_split())

    def to_report(self) -> Judge | None:
        """Return the judge of the test split, or of what there is."""
        return None if self._corpus is None else self._judge(self._corpus.evaluation_split())

    def fingerprint(self) -> dict[str, Any] | None:
        """Return what was read of the data."""
        if self._corpus is None:
            return None
        return data_fingerprint(
            self._corpus, {split: len(judge.examples.texts) for split, judge in self._made.items()}
        )

    def calibrate(self, fp32: onnx.ModelProto) -> Ranges:
        """Return the ranges of a graph's activations on some of the training texts."""
        assert self._corpus is not None, "the config refuses what needs text without text"
        splits = self._corpus.splits
        rows = list(self._corpus.read("train" if "train" in splits else self._corpus.evaluation_split()))
        some = rows[:: max(1, len(rows) // CALIBRATION_TEXTS)]
        texts = [row.text if row.text2 is None else (row.text, row.text2) for row in some]
        return measure_ranges(fp32, texts, tokenizer=self._folder, max_length=self._student.max_length)

    def _judge(self, split: str) -> Judge:
        if split not in self._made:
            assert self._corpus is not None, "asked for a split without data"
            student = self._student
            examples = read_examples(self._corpus, split, student.labels, student.task)
            self._progress(f"asking the PyTorch student ({split})")
            torch_model = TorchModel(student.folder, max_length=student.max_length)
            reference = np.asarray(torch_model.logits(examples.texts))
            self._made[split] = Judge(
                examples, reference, tokenizer=self._folder, max_length=student.max_length
            )
        return self._made[split]
