"""A tiny random student, as a Hugging Face folder, and texts on which it is right."""

from functools import cache
from pathlib import Path

import onnx
import pytest
from transformers import PreTrainedModel

from mixkd.compress.checkpoints import input_names
from mixkd.export.config import Exporter
from mixkd.export.convert import convert
from mixkd.export.graph.graph import copy_of
from tests.tiny import tiny_classifier, tiny_texts, tiny_tokenizer, write_answers, write_student

VOCAB = 9000
"""Pieces of the traced classifiers: enough for a table that is int8 in memory too."""


def trace(model: PreTrainedModel, exporter: Exporter = Exporter.AUTO) -> onnx.ModelProto:
    """Trace a tiny classifier with the inputs that its tokenizer makes."""
    inputs = input_names(model, tiny_tokenizer(model.config.model_type))
    return convert(model, inputs, max_length=46, exporter=exporter)


@cache
def _traced(kind: str) -> onnx.ModelProto:
    return trace(tiny_classifier(kind, vocab_size=VOCAB))


def traced(kind: str) -> onnx.ModelProto:
    """Return a copy of the traced graph of a tiny classifier traced once per run."""
    copy: onnx.ModelProto = copy_of(_traced(kind))
    return copy


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT student with 5 labels."""
    return write_student(tmp_path_factory.mktemp("student") / "student", tiny_classifier("bert"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts on which that student is right."""
    folder = tmp_path_factory.mktemp("data") / "data"
    return write_answers(folder, tiny_classifier("bert"), tiny_texts(60))
