"""What a user can get wrong: one line with what, where and the cure; exit code 1; nothing half-written."""

import json
from pathlib import Path

import pytest
from transformers import AutoModel

from tests.cli.conftest import Mkd, Ran
from tests.tiny import WORDS, tiny_classifier, tiny_tokenizer, write_student


def assert_one_line(ran: Ran, *words: str) -> None:
    assert ran.code == 1, ran
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("mkd: ")
    for word in words:
        assert word in line


def assert_nothing_written(folder: Path) -> None:
    assert not [path.name for path in folder.iterdir() if path.name.strip(".").startswith("out")]


def test_missing_column_is_named_with_those_there_are(
    mkd: Mkd, teacher: Path, data: Path, tmp_path: Path
) -> None:
    words = ("--teacher", teacher, "--data", data, "--output", tmp_path / "out", "--text-column", "sentence")
    assert_one_line(mkd("distill", *words), "'sentence'", "'text', 'label'", "--text-column", str(data))
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize("content", ["", "text\tlabel\n"])
def test_empty_file_is_named(mkd: Mkd, teacher: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.tsv").write_text(content, encoding="utf-8")
    words = ("--teacher", teacher, "--data", tmp_path / "empty.tsv", "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words), "empty.tsv", "no rows")
    assert_nothing_written(tmp_path)


def test_malformed_line_is_named_by_number(mkd: Mkd, teacher: Path, data: Path, tmp_path: Path) -> None:
    with data.open("a", encoding="utf-8") as file:
        file.write("a text without a label\n")
    words = ("--teacher", teacher, "--data", data, "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words), "line 22", "1 fields where the header has 2")
    assert_nothing_written(tmp_path)


def test_labels_the_teacher_has_not_got_are_named(mkd: Mkd, teacher: Path, tmp_path: Path) -> None:
    (tmp_path / "cats.tsv").write_text(f"text\tlabel\n{WORDS[0]}\tcats\n", encoding="utf-8")
    words = ("--teacher", teacher, "--data", tmp_path / "cats.tsv", "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words), "'cats'", "label-0")
    assert_nothing_written(tmp_path)


def test_teacher_without_a_head_is_named(mkd: Mkd, teacher: Path, data: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(teacher).save_pretrained(tmp_path / "headless")
    tiny_tokenizer().save_pretrained(tmp_path / "headless")
    words = ("--teacher", tmp_path / "headless", "--data", data, "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words), "headless", "no trained classification head", "mkd finetune")
    assert_nothing_written(tmp_path)


def test_student_without_a_head_is_not_exported(mkd: Mkd, teacher: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(teacher).save_pretrained(tmp_path / "headless")
    tiny_tokenizer().save_pretrained(tmp_path / "headless")
    ran = mkd("export", tmp_path / "headless", "--int8", "--output", tmp_path / "out")
    assert_one_line(ran, "headless", "head")
    assert_nothing_written(tmp_path)


def test_mixing_with_two_tokenizers_is_refused(mkd: Mkd, teacher: Path, data: Path, tmp_path: Path) -> None:
    foreign = write_student(tmp_path / "foreign", tiny_classifier("bert"))
    tokenizer = json.loads((foreign / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"]["zzz"] = len(tokenizer["model"]["vocab"])
    (foreign / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    words = ("--teacher", teacher, "--student", foreign, "--data", data, "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words), "different tokenizers", "--method kd")
    assert_nothing_written(tmp_path)


def test_truncated_bundle_is_named_by_file(mkd: Mkd, teacher: Path, tmp_path: Path) -> None:
    assert mkd("export", teacher, "--int8", "--output", tmp_path / "bundle").code == 0
    model = tmp_path / "bundle" / "onnx" / "model_quantized.onnx"
    model.write_bytes(model.read_bytes()[:-100])
    assert_one_line(mkd("predict", tmp_path / "bundle", "text"), "model_quantized.onnx", "bytes")


def test_folder_that_is_no_bundle_is_named(mkd: Mkd, teacher: Path) -> None:
    assert_one_line(mkd("predict", teacher, "text"), "not a bundle", "mkd export")


def test_model_that_is_nowhere_is_named(mkd: Mkd, data: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--output", tmp_path / "out")
    assert_one_line(mkd("distill", "--teacher", "./nowhere", *words), "./nowhere")
    assert_one_line(mkd("distill", "--teacher", "nobody/nothing", *words), "nobody/nothing", "hub")
    assert_nothing_written(tmp_path)


def test_unknown_data_names_what_there_is(mkd: Mkd, teacher: Path, tmp_path: Path) -> None:
    words = ("--teacher", teacher, "--data", "clinc151", "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words), "clinc151", "clinc150")


def test_config_file_with_an_unknown_key_names_the_near_one(
    mkd: Mkd, teacher: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "distill.toml").write_text("mixup-ration = 2.0\n", encoding="utf-8")
    words = ("--teacher", teacher, "--data", data, "--output", tmp_path / "out")
    ran = mkd("distill", *words, "--config", tmp_path / "distill.toml")
    assert_one_line(ran, "mixup_ration", "mixup_ratio")


def test_config_file_of_an_earlier_run_repeats_it(
    mkd: Mkd, teacher: Path, data: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more.tsv"
    more.write_text(f"text\n{WORDS[3]}\n", encoding="utf-8")
    options = f'teacher = "{teacher}"\ndata = "{data}"\naugmented = ["{more}"]\noutput = "{tmp_path / "a"}"\n'
    options += 'epochs = 1\nmax-length = 16\nmethod = "tmkd"\n'
    (tmp_path / "distill.toml").write_text(options, encoding="utf-8")
    first = mkd("distill", "--config", tmp_path / "distill.toml")
    assert first.code == 0, first.err
    again = mkd("distill", "--output", tmp_path / "b", "--config", tmp_path / "a" / "run.json")
    assert again.code == 0, again.err
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
    runs = [json.loads((tmp_path / name / "run.json").read_text(encoding="utf-8")) for name in ("a", "b")]
    assert runs[0]["config"]["method"] == "tmkd"
    assert [run.pop("duration_s") for run in runs]
    assert runs[0] == runs[1]


def test_what_neither_line_nor_config_file_gives_is_named(mkd: Mkd, data: Path, tmp_path: Path) -> None:
    (tmp_path / "distill.toml").write_text("epochs = 1\n", encoding="utf-8")
    ran = mkd("distill", "--data", data, "--config", tmp_path / "distill.toml")
    assert_one_line(ran, "--output and --teacher must be given", "--config")
