"""The options of a student's shape, on the command line and in config files."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, GPT2Config, GPT2ForSequenceClassification

from tests.cli.conftest import Mkd
from tests.cli.test_errors import assert_nothing_written, assert_one_line
from tests.tiny import write_student


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ("--student-ffn 25", "--student-ffn must be from 1 to 24, the teacher's, not 25"),
        ("--student-ffn 0", "--student-ffn must be at least 1, not 0"),
        ("--student-ffn half", "--student-ffn must be a number or auto, not half"),
        ("--student-ffn 12.5", "--student-ffn must be a number or auto, not 12.5"),
        ("--student-heads 3", "--student-heads must be from 1 to 2, the teacher's, not 3"),
        ("--student-heads 1 --student x", "--student-heads can't be combined with --student"),
    ],
)
def test_shape_that_cannot_be_is_refused_in_one_line(
    options: str, refusal: str, mkd: Mkd, teacher: Path, data: Path, tmp_path: Path
) -> None:
    words = ("--teacher", teacher, "--data", data, "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words, *options.split()), refusal)
    assert_nothing_written(tmp_path)


def test_teacher_that_cannot_be_narrowed_is_named(mkd: Mkd, data: Path, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"vocab_size": 120, "n_embd": 8, "n_layer": 2, "n_head": 2, "num_labels": 5}
    config = GPT2Config(**sizes, pad_token_id=0)
    teacher = write_student(tmp_path / "gpt2", GPT2ForSequenceClassification(config))
    words = ("--teacher", teacher, "--data", data, "--output", tmp_path / "out")
    ran = mkd("distill", *words, "--student-ffn", "auto")
    assert_one_line(ran, "GPT2ForSequenceClassification (gpt2) can't be narrowed", "--student-ffn")
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize(("given", "width"), [("10", 10), ('"auto"', 12)])
def test_config_file_and_an_earlier_run_give_the_shape(
    given: str, width: int, mkd: Mkd, teacher: Path, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "distill.toml"
    file.write_text(f"student-ffn = {given}\nstudent-heads = 1\nepochs = 1\nmax-length = 16\n")
    words = ("--teacher", teacher, "--data", data)
    first = mkd("distill", *words, "--output", tmp_path / "a", "--config", file)
    assert first.code == 0, first.err
    again = mkd("distill", "--output", tmp_path / "b", "--config", tmp_path / "a" / "run.json")
    assert again.code == 0, again.err
    for name in ("a", "b"):
        assert AutoConfig.from_pretrained(tmp_path / name).intermediate_size == width
        config = json.loads((tmp_path / name / "run.json").read_text(encoding="utf-8"))["config"]
        assert (config["student_ffn"], config["student_heads"]) == (json.loads(given), 1)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
