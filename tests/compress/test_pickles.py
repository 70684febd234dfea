"""Pickles in a model's folder or a checkpoint are never let run code, though every hash is right."""

import os
import pickle
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from mixkd.compress import distill
from mixkd.compress.checkpoints import load_classifier
from mixkd.compress.completion import complete_checkpoints, seal_checkpoint
from mixkd.compress.config import DistillConfig
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ModelError
from tests.tiny import tiny_classifier, write_student

UNREAD = "training_args.bin"
PICKLES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "pytorch_model.bin", UNREAD)
CONFIG = DistillConfig(batch_size=16, max_length=32, student_layers=1, epochs=2, save_steps=2)


class Touch:
    """Pickled, it makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._mark),)


@pytest.mark.parametrize("form", ["bare", "torch"])
def test_weights_that_are_a_pickle_run_no_code(form: str, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "model", tiny_classifier("bert"))
    (folder / "model.safetensors").unlink()
    plant(folder / "pytorch_model.bin", tmp_path / "mark", form)
    with pytest.raises(ModelError, match="can't be loaded as a classifier: ") as caught:
        load_classifier(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mark").exists()


@pytest.fixture(scope="module")
def interrupted(teacher: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was interrupted after a checkpoint, and nothing else."""
    folder = tmp_path_factory.mktemp("interrupted")

    def interrupt(what: str, done: int, total: int) -> None:
        if list(folder.glob("out.partial/checkpoints-1/checkpoint-*/complete")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(str(teacher), open_corpus(data), folder / "out", config=CONFIG, progress=interrupt)
    return folder


@pytest.mark.parametrize("name", PICKLES)
def test_a_checkpoint_that_is_resumed_runs_no_code(
    interrupted: Path, teacher: Path, data: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(interrupted, tmp_path / "copy")
    checkpoint = complete_checkpoints(tmp_path / "copy" / "out.partial" / "checkpoints-1")[-1]
    (checkpoint / "complete").unlink()
    plant(checkpoint / name, tmp_path / "mark", "torch")
    if name == "pytorch_model.bin":
        (checkpoint / "model.safetensors").unlink()
    seal_checkpoint(checkpoint)
    output = tmp_path / "copy" / "out"
    with nullcontext() if name == UNREAD else pytest.raises(ModelError, match="would run code"):
        distill(str(teacher), open_corpus(data), output, config=CONFIG, resume=True)
    assert not (tmp_path / "mark").exists()


def plant(file: Path, mark: Path, form: str) -> None:
    """Write a pickle that would leave a mark, and see that it does so where it is trusted."""
    if form == "torch":
        torch.save(Touch(mark), file)
        torch.load(file, weights_only=False)
    else:
        file.write_bytes(pickle.dumps(Touch(mark)))
        pickle.loads(file.read_bytes())
    mark.rmdir()
