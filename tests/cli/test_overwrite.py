"""`--overwrite` and `--config` replace nothing that mkd didn't write, whoever wrote the config file."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Mkd
from tests.cli.test_errors import assert_one_line


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of the user's own."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "thesis.doc").write_text("mine")
    return folder


def words_of(command: str, teacher: Path, data: Path) -> tuple[object, ...]:
    words: dict[str, tuple[object, ...]] = {
        "finetune": ("--model", teacher, "--data", data, "--max-length", 8, "--epochs", 1),
        "distill": ("--teacher", teacher, "--data", data, "--max-length", 8, "--epochs", 1),
        "export": (teacher,),
        "search": ("--teacher", teacher, "--data", data),
        "quickstart": ("--smoke",),
    }
    return (command, *words[command])


@pytest.mark.parametrize("command", ["finetune", "distill", "export", "search", "quickstart"])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_folder_that_holds_something_else_is_never_replaced(
    mkd: Mkd, command: str, teacher: Path, data: Path, results: Path, overwrite: list[str]
) -> None:
    ran = mkd(*words_of(command, teacher, data), "--output", results, *overwrite)
    assert_one_line(ran, str(results), "thesis.doc, which mkd did not write")
    assert [path.name for path in results.iterdir()] == ["thesis.doc"]


@pytest.mark.parametrize("command", ["distill", "export"])
def test_result_is_replaced_when_asked_and_only_while_nothing_else_is_in_it(
    mkd: Mkd, command: str, teacher: Path, data: Path, tmp_path: Path
) -> None:
    words = (*words_of(command, teacher, data), "--output", tmp_path / "out")
    assert mkd(*words).code == 0
    assert_one_line(mkd(*words), "already holds a result", "--overwrite")
    assert mkd(*words, "--overwrite").code == 0
    (tmp_path / "out" / "thesis.doc").write_text("mine")
    assert_one_line(mkd(*words, "--overwrite"), "thesis.doc")
    assert (tmp_path / "out" / "thesis.doc").read_text() == "mine"


@pytest.mark.parametrize("entry", [{"overwrite": True}, {"output": "elsewhere"}, {"resume": True}])
@pytest.mark.parametrize("part", ["inputs", "config"])
def test_run_file_from_others_says_nothing_of_the_output(
    mkd: Mkd, teacher: Path, data: Path, results: Path, tmp_path: Path, entry: dict[str, object], part: str
) -> None:
    theirs = tmp_path / "theirs.json"
    run: dict[str, dict[str, object]] = {
        "inputs": {"teacher": str(teacher), "data": str(data)},
        "config": {"epochs": 1},
    }
    run[part].update(entry)
    theirs.write_text(json.dumps(run), encoding="utf-8")
    ran = mkd("distill", "--config", theirs, "--output", results)
    (name,) = entry
    assert_one_line(ran, str(theirs), f"{name} is not taken from this file", f"--{name} on the command line")
    assert [path.name for path in results.iterdir()] == ["thesis.doc"]


def test_toml_file_never_says_overwrite(
    mkd: Mkd, teacher: Path, data: Path, results: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.toml"
    theirs.write_text("overwrite = true\n", encoding="utf-8")
    ran = mkd(*words_of("distill", teacher, data), "--config", theirs, "--output", results)
    assert_one_line(ran, str(theirs), "overwrite is not taken from this file", "--overwrite")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("deep.json", "[" * 100_000, "nested too deeply"),
        ("deep.json", '{"inputs": ' + '{"a": ' * 100_000, "nested too deeply"),
        ("deep.toml", "a = " + "[" * 100_000, "nested too deeply"),
        ("list.json", "[]", "no run.json"),
        ("number.json", '{"inputs": 3, "config": {}}', "no run.json"),
        ("digits.json", '{"inputs": {"epochs": ' + "9" * 5_000 + '}, "config": {}}', "can't be read"),
        ("half.json", '{"inputs": ', "can't be read"),
        ("bytes.json", "\udcff", "can't be read"),
        ("null.toml", 'data = "a\\u0000b"', "null character"),
        ("type.toml", 'epochs = "many"', "epochs must be of type float, not 'many'"),
        ("choice.toml", 'method = "magic"', "method must be one of finetune, kd"),
        ("list.toml", 'augmented = "file"', "augmented must be a list"),
        ("nan.toml", "epochs = nan", "--epochs must be above 0, not nan"),
        ("inf.toml", "epochs = inf", "--epochs must be above 0, not inf"),
    ],
)
def test_odd_config_file_is_one_line(
    mkd: Mkd, teacher: Path, data: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    words = ("--teacher", teacher, "--data", data, "--output", tmp_path / "out")
    assert_one_line(mkd("distill", *words, "--config", tmp_path / name), said)


def test_missing_config_file_is_named(mkd: Mkd, tmp_path: Path) -> None:
    assert_one_line(mkd("distill", "--config", tmp_path / "no.toml"), "no.toml can't be read: No such file")


def test_work_folder_that_is_a_link_is_refused(
    mkd: Mkd, teacher: Path, data: Path, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.partial").symlink_to(results)
    for more in ([], ["--overwrite"], ["--resume"]):
        ran = mkd(*words_of("distill", teacher, data), "--output", tmp_path / "out", *more)
        assert_one_line(ran, "out.partial, the work folder, was not made by mkd")
    assert [path.name for path in results.iterdir()] == ["thesis.doc"]


@pytest.mark.parametrize("command", ["distill", "export"])
def test_long_names_are_written_or_refused_in_one_line(
    mkd: Mkd, command: str, teacher: Path, data: Path, tmp_path: Path
) -> None:
    words = words_of(command, teacher, data)
    ran = mkd(*words, "--output", tmp_path / ("a" * 240))
    assert ran.code == 0, ran.err
    for length in (256, 5_000):
        assert_one_line(mkd(*words, "--output", tmp_path / ("x" * length)), "the name is too long")
    if command == "distill":  # NAME.partial must fit as well
        assert_one_line(mkd(*words, "--output", tmp_path / ("x" * 250)), "the name is too long")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["a" * 240]
