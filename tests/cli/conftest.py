"""`mkd` as a user calls it, in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixkd import cli
from tests.tiny import WORDS, tiny_classifier, write_student


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


Mkd = Callable[..., Ran]
"""What the fixture `mkd` gives."""


@pytest.fixture
def mkd(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Mkd:
    """Run `mkd` with the given words."""

    def run(*words: object) -> Ran:
        code = 0
        monkeypatch.setattr(sys, "argv", ["mkd", *map(str, words)])
        capfd.readouterr()  # what the test itself made transformers say before
        try:
            cli.main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT of five labels."""
    return write_student(tmp_path_factory.mktemp("teacher") / "teacher", tiny_classifier("bert"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of 20 texts with its labels."""
    rows = [f"{WORDS[i % 5]}\tlabel-{i % 5}" for i in range(20)]
    path = tmp_path / "texts.tsv"
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return path
