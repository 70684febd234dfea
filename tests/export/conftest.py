"""A tiny random student, as a Hugging Face folder, and texts on which it is right."""

from pathlib import Path

import pytest

from tests.tiny import tiny_classifier, tiny_texts, write_answers, write_student


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT student with 5 labels."""
    return write_student(tmp_path_factory.mktemp("student") / "student", tiny_classifier("bert"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts on which that student is right."""
    folder = tmp_path_factory.mktemp("data") / "data"
    return write_answers(folder, tiny_classifier("bert"), tiny_texts(60))
