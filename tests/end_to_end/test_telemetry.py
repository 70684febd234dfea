"""Nothing leaves a trace of onnxruntime's telemetry in a user's home, where CI isn't set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import tiny_classifier, tiny_texts, write_answers, write_student

pytestmark = pytest.mark.slow


EXPORT = """
import sys
from pathlib import Path
from mixkd.export import ExportConfig, export
export(Path(sys.argv[1]), Path(sys.argv[2]), config=ExportConfig())
"""
"""An app's own program: the command line isn't there to turn anything off."""


def run_at_home(home: Path, *command: str | Path) -> None:
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(home.rglob("*")) == []


def test_commands_leave_a_home_empty(tmp_path: Path) -> None:
    model = tiny_classifier("bert")
    student = write_student(tmp_path / "student", model)
    data = write_answers(tmp_path / "data", model, tiny_texts(40))
    home, bundle, mkd = tmp_path / "home", tmp_path / "bundle", Path(sys.executable).with_name("mkd")
    run_at_home(home, mkd, "export", student, "--int8", "--data", data, "--output", bundle)
    run_at_home(home, mkd, "predict", bundle, "bada kofo")
    run_at_home(home, mkd, "bench", bundle, "--quick", "--data", data, "--output", tmp_path / "report")


def test_a_program_that_exports_leaves_a_home_empty(tmp_path: Path) -> None:
    student = write_student(tmp_path / "student", tiny_classifier("bert"))
    run_at_home(tmp_path / "home", sys.executable, "-c", EXPORT, student, tmp_path / "bundle")
