"""A disk that is full: `mkd finetune` and `mkd distill` say so in one line, at whatever stage it comes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.test_outputs import own_mounts
from tests.tools import unavailable

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("command", "disk_kib"), [("distill", 16), ("finetune", 60), ("distill", 150), ("distill", 400)]
)
def test_full_disk_is_said_in_one_line(
    command: str, disk_kib: int, teacher: Path, data: Path, tmp_path: Path
) -> None:
    # From the tokenised texts over the first checkpoint to the second: the tiny model has about 60 KB.
    reason = own_mounts()
    if reason is not None:
        unavailable(reason)
    start = ["--teacher", teacher] if command == "distill" else ["--model", teacher]
    words = [command, *start, "--data", data, "--output", tmp_path / "out", "--epochs", 6, "--max-length", 32]
    shell = f'mount -t tmpfs -o size={disk_kib}k tmpfs "$0" && "$@"; code=$?; ls -A "$0" >&2; exit $code'
    run = ["unshare", "-rm", "sh", "-c", shell, tmp_path, sys.executable, "-m", "mixkd.cli", *words]
    done = subprocess.run([*map(str, run)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("mkd: ")]
    assert done.returncode == 1, done.stderr[-2000:]
    assert said
    assert "no space left while writing" in said[0]
    assert "Traceback" not in done.stderr
    left = done.stderr.splitlines()[done.stderr.splitlines().index(said[0]) + 1 :]
    # A whole checkpoint is kept to go on from, nothing else.
    assert left == (["out.partial"] if disk_kib == 400 else [])
