"""The two stages on tiny models: what they write, what they refuse, how they go on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModel, AutoModelForSequenceClassification

from mixkd.compress import DistillConfig, FinetuneConfig, Method, TrainingResult, distill, finetune
from mixkd.compress.checkpoints import load_tokenizer
from mixkd.compress.config import TaskChoice
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError, DataError, ModelError, OutputError, TrainingError
from mixkd.labels import label_space_of
from mixkd.outputs import fresh_folder
from tests.tiny import ENCODERS, WORDS, tiny_classifier, tiny_tokenizer, write_student

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "max_length": 32}


def run_json(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return loaded


def test_finetune_writes_a_teacher_that_learned_its_data(teacher: Path, data: Path, tmp_path: Path) -> None:
    config = FinetuneConfig(epochs=30, batch_size=8, max_length=32, learning_rate=3e-3)
    result = finetune(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    assert result.metrics["test"]["accuracy"] > 0.5  # the first word decides; chance is 0.2
    record = run_json(tmp_path / "out")
    assert record["stage"] == "finetune"
    assert record["config"]["learning_rate"] == 3e-3
    assert record["metrics"] == result.metrics
    assert record["data"]["splits"]["train"]["rows"] == 60
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label[3] == "label-3"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no work folder is left


def test_tokenizer_says_which_inputs_the_training_had(teacher: Path, data: Path, tmp_path: Path) -> None:
    # A tokenizer without a class of its own makes segments in transformers 4, not in 5, unless it says so.
    silent, name = tmp_path / "teacher", "tokenizer_config.json"
    shutil.copytree(teacher, silent)
    config = json.loads((silent / name).read_text(encoding="utf-8"))
    assert config.pop("model_input_names", None)
    (silent / name).write_text(json.dumps(config), encoding="utf-8")
    had = load_tokenizer(silent).model_input_names
    distill(str(silent), open_corpus(data), tmp_path / "out", config=DistillConfig(student_layers=1, **QUICK))
    written = json.loads((tmp_path / "out" / name).read_text(encoding="utf-8"))
    assert written["model_input_names"] == had


@pytest.mark.parametrize("method", list(Method))
def test_distill_runs_every_method(method: Method, teacher: Path, data: Path, tmp_path: Path) -> None:
    config = DistillConfig(method=method, student_layers=2, **QUICK)
    distill(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    record = run_json(tmp_path / "out")
    assert record["config"]["method"] == method
    assert set(record["metrics"]) == {"validation", "test"}
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.num_hidden_layers == 2


def test_distill_brings_the_student_to_its_teachers_answers(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    fine = finetune(
        str(teacher),
        open_corpus(data),
        tmp_path / "teacher",
        config=FinetuneConfig(epochs=30, batch_size=8, max_length=32, learning_rate=3e-3),
    )
    config = DistillConfig(epochs=30, batch_size=8, max_length=32, student_layers=1, learning_rate=3e-3)
    result = distill(str(fine.folder), open_corpus(data), tmp_path / "student", config=config)
    assert result.metrics["test"]["accuracy"] > 0.5


def test_tensorboards_logs_stand_beside_the_student(teacher: Path, data: Path, tmp_path: Path) -> None:
    config = DistillConfig(report_to="tensorboard", **QUICK)
    distill(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    (file,) = (tmp_path / "out" / "runs").rglob("events.out.*")
    events = EventAccumulator(str(file))
    events.Reload()
    assert {"train/loss", "eval/accuracy"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("train/loss")) >= 4
    with pytest.raises(ConfigError, match=r"--report-to wand: no such integration is installed, only .*none"):
        distill(str(teacher), open_corpus(data), tmp_path / "b", config=DistillConfig(report_to="wand"))


def test_distill_uses_half_the_layers_when_not_told(teacher: Path, data: Path, tmp_path: Path) -> None:
    distill(str(teacher), open_corpus(data), tmp_path / "out", config=DistillConfig(**QUICK))
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.num_hidden_layers == 2


def test_same_seed_gives_the_same_weights_and_another_seed_others(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = DistillConfig(seed=seed, student_layers=1, **QUICK)
        distill(str(teacher), open_corpus(data), tmp_path / name, config=config)
        weights.append(load_file(tmp_path / name / "model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


@pytest.mark.parametrize("kind", ENCODERS)
def test_distill_mixes_for_every_encoder(kind: str, data: Path, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "teacher", tiny_classifier(kind, num_hidden_layers=3))
    config = DistillConfig(student_layers=1, train_limit=20, **QUICK)
    result = distill(str(folder), open_corpus(data), tmp_path / "out", config=config)
    assert 0 < result.metrics["test"]["loss"] < 100


def test_distill_takes_unlabelled_texts(teacher: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [line.split("\t")[0] for line in (data / "train.tsv").read_text(encoding="utf-8").splitlines()]
    (folder / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "validation.tsv").write_bytes((data / "validation.tsv").read_bytes())
    result = distill(
        str(teacher), open_corpus(folder), tmp_path / "out", config=DistillConfig(student_layers=1, **QUICK)
    )
    assert "accuracy" in result.metrics["validation"]


@pytest.mark.parametrize("task", [TaskChoice.MULTI_LABEL, TaskChoice.REGRESSION])
def test_task_is_the_one_that_is_named(task: TaskChoice, tmp_path: Path) -> None:
    lines = ["text\tlabel", *(f"{WORDS[i % 7]}\t{i % 3}" for i in range(40))]
    (tmp_path / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    start = write_student(tmp_path / "start", tiny_classifier("bert"))
    config = FinetuneConfig(task=task, **QUICK)
    finetune(str(start), open_corpus(tmp_path / "train.tsv"), tmp_path / "teacher", config=config)
    written = json.loads((tmp_path / "teacher" / "config.json").read_text(encoding="utf-8"))
    assert task.task is not None
    assert label_space_of(written, model="teacher").task is task.task
    assert len(written["id2label"]) == (3 if task is TaskChoice.MULTI_LABEL else 1)


def test_distill_takes_pairs_of_texts(teacher: Path, data: Path, tmp_path: Path) -> None:
    lines = (data / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    pairs = ["text\ttext2\tlabel", *(f"{WORDS[i % 9]}\t{line}" for i, line in enumerate(lines))]
    (tmp_path / "pairs.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    config = DistillConfig(student_layers=1, **QUICK)
    result = distill(str(teacher), open_corpus(tmp_path / "pairs.tsv"), tmp_path / "out", config=config)
    assert "accuracy" in result.metrics["validation"]


def refused(teacher: Path, data: Path, tmp_path: Path, **options: Any) -> None:
    """Distil, and make sure that nothing half-written is left if that fails."""
    try:
        distill(
            str(teacher), open_corpus(data), tmp_path / "out", config=DistillConfig(**{**QUICK, **options})
        )
    finally:
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.partial").exists()


def test_labels_that_the_teacher_has_not_got_are_refused(teacher: Path, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(f"text\tlabel\n{WORDS[0]}\tcats\n", encoding="utf-8")
    with pytest.raises(DataError, match="'cats' is not one of the model's"):
        refused(teacher, tmp_path / "train.tsv", tmp_path)


def test_teacher_without_a_classification_head_is_refused(data: Path, teacher: Path, tmp_path: Path) -> None:
    headless = tmp_path / "headless"
    AutoModel.from_pretrained(teacher).save_pretrained(headless)
    tiny_tokenizer().save_pretrained(headless)
    with pytest.raises(ModelError, match=r"no trained classification head.*mkd finetune"):
        refused(headless, data, tmp_path)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A model whose tokenizer has another vocabulary."""
    folder = write_student(tmp_path / "foreign", tiny_classifier("bert", num_hidden_layers=2))
    file = folder / "tokenizer.json"
    body = json.loads(file.read_text(encoding="utf-8"))
    vocab = body["model"]["vocab"]
    vocab[WORDS[0]], vocab[WORDS[1]] = vocab[WORDS[1]], vocab[WORDS[0]]
    file.write_text(json.dumps(body), encoding="utf-8")
    return folder


def test_mixing_is_refused_with_two_different_tokenizers(
    teacher: Path, data: Path, foreign: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"different tokenizers.*--method kd"):
        refused(teacher, data, tmp_path, student=str(foreign))


def test_plain_kd_works_with_two_different_tokenizers(
    teacher: Path, data: Path, foreign: Path, tmp_path: Path
) -> None:
    config = DistillConfig(student=str(foreign), method=Method.KD, **QUICK)
    result = distill(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    assert "accuracy" in result.metrics["test"]


def test_hidden_states_of_two_tokenizers_are_refused(
    teacher: Path, data: Path, foreign: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"different tokenizers.*--method kd"):
        refused(teacher, data, tmp_path, student=str(foreign), method=Method.PKD)


def test_hidden_states_of_two_widths_are_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    narrow = write_student(tmp_path / "narrow", tiny_classifier("bert", hidden_size=8))
    with pytest.raises(ConfigError, match="widths 8 and 16"):
        refused(teacher, data, tmp_path, student=str(narrow), method=Method.PKD)


def test_more_layers_than_the_teachers_are_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 to 4"):
        refused(teacher, data, tmp_path, student_layers=5)


def test_more_tokens_than_positions_are_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--max-length must be at most 48, the positions of the model, not 500"
    ):
        refused(teacher, data, tmp_path, max_length=500)


def test_occupied_output_is_refused_unless_overwritten(teacher: Path, data: Path, tmp_path: Path) -> None:
    with fresh_folder(tmp_path / "out") as folder:
        (folder / "old").write_text("of an earlier run")
    config = DistillConfig(student_layers=1, **QUICK)
    with pytest.raises(OutputError, match="--overwrite"):
        distill(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    assert (tmp_path / "out" / "old").exists()
    distill(str(teacher), open_corpus(data), tmp_path / "out", config=config, overwrite=True)
    assert not (tmp_path / "out" / "old").exists()
    assert (tmp_path / "out" / "run.json").is_file()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"beta": -1.0}, "--beta"),
        ({"max_length": 1}, "--max-length"),
        ({"student": "x", "student_layers": 2}, "--student"),
        ({"steps": 3, "epochs": 1}, "--steps can't be combined with --epochs"),
        ({"alpha_sm": -1.0}, "--alpha-sm"),
        ({"dropout": 1.5}, "--dropout"),
    ],
)
def test_impossible_options_are_refused_by_name(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        DistillConfig(**options)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"--epochs.*--beta"):
        DistillConfig(epochs=0, beta=0.0)


@pytest.mark.parametrize("stage", ["finetune", "distill"])
def test_training_ends_in_one_line_when_its_loss_is_no_longer_finite(
    stage: str, teacher: Path, data: Path, tmp_path: Path
) -> None:
    # Steps so large that the weights overflow, after the first checkpoint.
    options: dict[str, Any] = {**QUICK, "epochs": 9, "learning_rate": 1e9, "dropout": 0.0, "save_steps": 1}
    train: Callable[[], object] = {
        "finetune": lambda: finetune(teacher, data, tmp_path / "out", config=FinetuneConfig(**options)),
        "distill": lambda: distill(teacher, data, tmp_path / "out", config=DistillConfig(**options)),
    }[stage]
    with pytest.raises(TrainingError, match=r"not a finite number at step \d+ of 36: lower --learning-rate"):
        train()
    assert list(tmp_path.iterdir()) == []


def test_training_takes_the_steps_it_is_asked_for(teacher: Path, data: Path, tmp_path: Path) -> None:
    shown: list[tuple[str, int, int]] = []
    config = DistillConfig(student_layers=1, steps=7, batch_size=16, max_length=32)  # an epoch has 4
    distill(teacher, data, tmp_path / "out", config=config, progress=lambda *step: shown.append(step))
    assert {(done, total) for what, done, total in shown if "training" in what} == {(i, 7) for i in range(8)}
    assert any(what.startswith("step 7/7  validation") for what, _, _ in shown)


def test_result_names_the_folder_and_the_metrics_of_every_split(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    shown: list[tuple[str, int, int]] = []
    result = distill(
        teacher,
        data,
        tmp_path / "out",
        config=DistillConfig(student_layers=1, **QUICK),
        progress=lambda *step: shown.append(step),
    )
    assert isinstance(result, TrainingResult)
    assert result.folder == tmp_path / "out"
    assert result.metrics.keys() == {"validation", "test"}
    assert shown[0] == ("training", 0, 4)
    assert [done for what, done, total in shown if total == 4][-1] == 4
    assert any("validation  loss" in what and "accuracy" in what for what, _, _ in shown)
