"""No command leaves a trace of onnxruntime's telemetry in a user's home, where CI isn't set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import tiny_classifier, tiny_texts, write_answers, write_student

pytestmark = pytest.mark.slow


def test_export_and_bench_leave_a_home_empty(tmp_path: Path) -> None:
    model = tiny_classifier("bert")
    student = write_student(tmp_path / "student", model)
    data = write_answers(tmp_path / "data", model, tiny_texts(40))
    home, bundle = tmp_path / "home", tmp_path / "bundle"
    home.mkdir()
    commands: list[list[str | Path]] = [
        ["export", student, "--int8", "--data", data, "--output", bundle],
        ["predict", bundle, "bada kofo"],
        ["bench", bundle, "--quick", "--data", data, "--output", tmp_path / "report"],
    ]
    for command in commands:
        done = subprocess.run(
            [Path(sys.executable).with_name("mkd"), *command],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert list(home.rglob("*")) == []
