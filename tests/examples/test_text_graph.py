"""`mkd export --with-tokenizer`: one file from text to label, in onnxruntime with its extensions."""

from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime_extensions import get_library_path

from mixkd.runtime import Classifier
from mixkd.runtime.manifest import TEXT_GRAPH_FILE
from tests.examples.conftest import Answers

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SAME = (
    "",
    "don\u2019t \u201csay\u201d \u2013 fine\u2026",
    "café ÀÉ ñandú ¿qué?",
    "中文 text",
    "😀 pay €5",
    "x " * 300,
    "a" * 200,
)
OTHER = ("łódź", "ελληνικά", "한국어")
"""What the module names as exceptions."""


@pytest.fixture(scope="module")
def session(student_bundle: Path) -> InferenceSession:
    options = SessionOptions()
    options.register_custom_ops_library(get_library_path())
    options.intra_op_num_threads = 1
    return InferenceSession(student_bundle / TEXT_GRAPH_FILE, options, providers=["CPUExecutionProvider"])


def ask(session: InferenceSession, text: str) -> tuple[str, float]:
    label, score = session.run(["label", "score"], {"text": np.array([text], object)})
    return label[0], float(score[0])


def test_text_graph_gives_pythons_labels(session: InferenceSession, answers: Answers) -> None:
    assert [ask(session, text)[0] for text in answers.texts] == answers.labels


def test_text_graph_differs_in_its_known_exceptions_alone(
    session: InferenceSession, student_bundle: Path
) -> None:
    classifier = Classifier.load(student_bundle, threads=1)
    for text in SAME:
        expected = classifier.predict(text)
        label, score = ask(session, text)
        assert label == expected.label, text
        assert score == pytest.approx(expected.score, abs=1e-5), text
    for text in OTHER:
        assert ask(session, text)[1] != pytest.approx(classifier.predict(text).score, abs=1e-5), text
