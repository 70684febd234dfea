"""A checkpoint that was damaged after it was written is never resumed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mixkd.compress import distill
from mixkd.compress.completion import COMPLETE, complete_checkpoints
from mixkd.compress.config import DistillConfig
from mixkd.compress.trainer import ObjectiveTrainer
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ModelError

CONFIG = DistillConfig(epochs=2, batch_size=16, max_length=16, student_layers=1, save_steps=2)


@pytest.fixture(scope="module")
def interrupted(teacher: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a training that stopped after its first checkpoint."""
    output = tmp_path_factory.mktemp("interrupted") / "out"
    save = ObjectiveTrainer._save_checkpoint

    def save_and_stop(self: ObjectiveTrainer, *words: object) -> None:
        save(self, *words)  # type: ignore[arg-type]  # as it was called
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectiveTrainer, "_save_checkpoint", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            distill(teacher, open_corpus(data), output, config=CONFIG)
    return output.with_name("out.partial")


@pytest.fixture
def output(interrupted: Path, tmp_path: Path) -> Path:
    shutil.copytree(interrupted, tmp_path / "out.partial")
    return tmp_path / "out"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]
)
def test_damaged_checkpoint_is_named(
    teacher: Path, data: Path, output: Path, name: str, damage: Callable[[Path], None]
) -> None:
    (checkpoint,) = complete_checkpoints(output.with_name("out.partial") / "checkpoints-1")
    damage(checkpoint / name)
    with pytest.raises(ModelError, match=rf"checkpoint-2 is damaged \({name}\): delete it") as caught:
        distill(teacher, open_corpus(data), output, config=CONFIG, resume=True)
    assert "\n" not in str(caught.value)
    assert checkpoint.is_dir()  # nothing is lost by asking


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_damaged_list_of_files_is_named(teacher: Path, data: Path, output: Path, text: str) -> None:
    (checkpoint,) = complete_checkpoints(output.with_name("out.partial") / "checkpoints-1")
    (checkpoint / COMPLETE).write_text(text)
    with pytest.raises(ModelError, match=rf"checkpoint-2 is damaged \({COMPLETE}\)"):
        distill(teacher, open_corpus(data), output, config=CONFIG, resume=True)


def test_run_goes_on_once_the_damaged_one_is_deleted(teacher: Path, data: Path, output: Path) -> None:
    (checkpoint,) = complete_checkpoints(output.with_name("out.partial") / "checkpoints-1")
    shutil.rmtree(checkpoint)
    distill(teacher, open_corpus(data), output, config=CONFIG, resume=True)
    assert (output / "run.json").is_file()
