"""A training that is killed at any moment, and resumed, ends with the weights of one that wasn't."""

import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from mixkd.compress import distill
from mixkd.compress.completion import COMPLETE
from mixkd.compress.config import DistillConfig
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError, OutputError

pytestmark = pytest.mark.slow

KILLS = 21
EPOCH_STEPS = 15

# A server that has torch loaded already: a run that is killed in its first tenth of a second costs no more.
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["mixkd.compress.distillation"])


def run(teacher: Path, data: Path, output: Path, resume: bool, options: dict[str, int | str]) -> None:
    torch.set_num_threads(1)  # bit-equal sums whatever machine runs the tests
    config = DistillConfig(batch_size=4, max_length=32, student_layers=2, dropout=0.1, **options)  # type: ignore[arg-type]  # all of them whole numbers
    distill(str(teacher), open_corpus(data), output, config=config, resume=resume)


def start(
    teacher: Path,
    data: Path,
    output: Path,
    *,
    resume: bool = False,
    epochs: int = 12,
    save_steps: int = 7,
    **more: int | str,
) -> BaseProcess:
    options = {"epochs": epochs, "save_steps": save_steps, **more}
    process = _server.Process(target=run, args=(teacher, data, output, resume, options))
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join()
    assert process.exitcode == 0


def kill(process: BaseProcess) -> None:
    process.kill()
    process.join()


def checkpoints(output: Path, mark: str = "") -> set[Path]:
    return set(output.with_name(f"{output.name}.partial").glob(f"checkpoints-1/checkpoint-*/{mark}"))


def has_checkpoint(output: Path) -> bool:
    return bool(checkpoints(output, COMPLETE))


def wait_until(condition: Callable[[], bool], process: BaseProcess) -> None:
    while process.is_alive() and not condition():
        time.sleep(0.0005)


def test_training_killed_at_any_moment_ends_with_the_same_weights(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    whole, output = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    finish(start(teacher, data, whole, epochs=30))
    rng = random.Random(0)
    torn = 0
    for number in range(KILLS):
        process = start(teacher, data, output, resume=True, epochs=30)
        stood = checkpoints(output)
        if number % 3 == 0:  # while it loads, tokenises, or has just gone on
            time.sleep(rng.uniform(0, 0.6))
        elif number % 3 == 1:  # while it saves
            wait_until(lambda stood=stood: bool(checkpoints(output) - stood), process)  # type: ignore[misc]
            time.sleep(rng.uniform(0, 0.01))
        else:  # while it trains or evaluates
            wait_until(lambda stood=stood: bool(checkpoints(output) - stood), process)  # type: ignore[misc]
            time.sleep(rng.uniform(0.02, 0.1))
        assert process.is_alive(), "it was done before the last kill"
        kill(process)
        torn += len(checkpoints(output, COMPLETE)) < len(checkpoints(output))
    assert torn > 0  # some kills came in the middle of a save
    finish(start(teacher, data, output, resume=True, epochs=30))
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (output / name).read_bytes() == (whole / name).read_bytes(), name
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_half_written_checkpoint_is_never_loaded(teacher: Path, data: Path, tmp_path: Path) -> None:
    whole, output = tmp_path / "whole" / "out", tmp_path / "torn" / "out"
    finish(start(teacher, data, whole, save_steps=EPOCH_STEPS))
    process = start(teacher, data, output, save_steps=EPOCH_STEPS)
    wait_until(lambda: len(checkpoints(output, COMPLETE)) >= 2, process)
    kill(process)
    torn = max(checkpoints(output), key=lambda path: int(path.name.split("-")[1]))
    (torn / COMPLETE).unlink(missing_ok=True)
    weights = torn / "model.safetensors"
    if weights.exists():
        weights.write_bytes(weights.read_bytes()[:-64])
    finish(start(teacher, data, output, resume=True, save_steps=EPOCH_STEPS))
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_resume_with_other_options_is_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = start(teacher, data, output)
    wait_until(lambda: has_checkpoint(output), process)
    kill(process)
    config = DistillConfig(epochs=12, batch_size=8, max_length=32, student_layers=2)
    with pytest.raises(ConfigError, match="other options"):
        distill(str(teacher), open_corpus(data), output, config=config, resume=True)
    assert has_checkpoint(output)  # nothing is lost by asking
    with pytest.raises(OutputError, match="--resume continues it, --overwrite starts again"):
        distill(str(teacher), open_corpus(data), output, config=config)


def test_narrowed_student_resumes_to_the_weights_of_an_uninterrupted_run(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    whole, output = tmp_path / "whole", tmp_path / "out"
    shape: dict[str, Any] = {"student_ffn": "auto", "student_heads": 1}
    finish(start(teacher, data, whole, **shape))
    process = start(teacher, data, output, **shape)
    wait_until(lambda: len(checkpoints(output, COMPLETE)) >= 2, process)
    kill(process)
    with pytest.raises(ConfigError, match="other options"):
        run(teacher, data, output, True, {"epochs": 12, "save_steps": 7, "student_ffn": 12})
    finish(start(teacher, data, output, resume=True, **shape))
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_resume_on_edited_data_is_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    edited, output = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, edited)
    process = start(teacher, edited, output)
    wait_until(lambda: has_checkpoint(output), process)
    kill(process)
    train = edited / "train.tsv"
    train.write_text(train.read_text(encoding="utf-8").replace("label-1", "label-2", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other options or data \(data.train differ\)"):
        run(teacher, edited, output, True, {"epochs": 12, "save_steps": 7})
    assert has_checkpoint(output)
    shutil.copyfile(data / "train.tsv", train)
    run(teacher, edited, output, True, {"epochs": 12, "save_steps": 7})
    assert (output / "run.json").is_file()
