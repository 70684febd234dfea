"""A training that is killed at any moment, and resumed, ends with the weights of one that wasn't."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixkd.compress.config import DistillConfig
from mixkd.compress.distill import distill
from mixkd.compress.trainer import COMPLETE
from mixkd.errors import ConfigError, OutputError
from mixkd.texts import open_corpus

pytestmark = pytest.mark.slow

KILLS = 3
_CODE = "from mixkd.cli import main; main()"


EPOCH_STEPS = 15


def start(
    teacher: Path, data: Path, output: Path, *, resume: bool = False, save_steps: int = 7
) -> subprocess.Popen[bytes]:
    words = [
        *("distill", "--teacher", str(teacher), "--data", str(data), "--output", str(output)),
        *("--epochs", "12", "--batch-size", "4", "--max-length", "32", "--student-layers", "2"),
        *("--dropout", "0.1", "--save-steps", str(save_steps)),
        *(["--resume"] if resume else []),
    ]
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]


def has_checkpoint(output: Path) -> bool:
    return any(output.with_name("out.partial").glob(f"checkpoints/checkpoint-*/{COMPLETE}"))


def test_killed_and_resumed_training_ends_with_the_same_weights(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    whole, output = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    finish(start(teacher, data, whole))
    rng = random.Random(0)
    resume = False
    for _ in range(KILLS):
        process = start(teacher, data, output, resume=resume)
        while not has_checkpoint(output) and process.poll() is None:
            time.sleep(0.01)  # until there is something to go on from
        time.sleep(rng.uniform(0, 1.0) if not resume else rng.uniform(6.0, 9.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if output.exists():
            break  # it was done before the kill
        assert has_checkpoint(output)
        resume = True
    if not output.exists():
        finish(start(teacher, data, output, resume=True))
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (output / name).read_bytes() == (whole / name).read_bytes(), name
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_half_written_checkpoint_is_never_loaded(teacher: Path, data: Path, tmp_path: Path) -> None:
    # The checkpoints stand at the ends of epochs, before the evaluation that a resumed run leaves out.
    whole, output = tmp_path / "whole" / "out", tmp_path / "torn" / "out"
    finish(start(teacher, data, whole))
    process = start(teacher, data, output, save_steps=EPOCH_STEPS)
    work = output.with_name("out.partial")
    while len(list(work.glob(f"checkpoints/checkpoint-*/{COMPLETE}"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    checkpoints = sorted(work.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    torn = checkpoints[-1]
    (torn / COMPLETE).unlink(missing_ok=True)
    weights = torn / "model.safetensors"
    if weights.exists():
        weights.write_bytes(weights.read_bytes()[:-64])
    finish(start(teacher, data, output, resume=True, save_steps=EPOCH_STEPS))
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_resume_with_other_options_is_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = start(teacher, data, output)
    while not has_checkpoint(output) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    config = DistillConfig(epochs=12, batch_size=8, max_length=32, student_layers=2)
    with pytest.raises(ConfigError, match="other options"):
        distill(str(teacher), open_corpus(data), output, config=config, resume=True)
    assert has_checkpoint(output)  # nothing is lost by asking
    with pytest.raises(OutputError, match="--resume goes on, --overwrite starts anew"):
        distill(str(teacher), open_corpus(data), output, config=config)
