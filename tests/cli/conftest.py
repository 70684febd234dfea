"""`mkd` as a user calls it, in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mixkd import cli


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def mkd(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
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
