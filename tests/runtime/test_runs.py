import json
from pathlib import Path
from typing import Any

import pytest

from mixkd.corpus.corpus import Columns, open_corpus
from mixkd.errors import ConfigError, MkdError
from mixkd.runs import RunRecord, data_fingerprint, guard_resume, read_run, request_of, versions
from mixkd.version import __version__


def record(**changes: Any) -> RunRecord:
    entries: dict[str, Any] = {
        "stage": "distill",
        "inputs": {"teacher": "teacher", "data": "clinc150"},
        "config": {"beta": 0.4, "output": Path("caf\u00e9")},
        "seed": 7,
        "data": {},
        "metrics": {"test": {"accuracy": 0.9456}},
        "duration_s": 1.5,
        "notes": ("three texts stand in train and test",),
    }
    return RunRecord(**(entries | changes))


def test_write_and_read_run_round_trip(tmp_path: Path) -> None:
    record().write(tmp_path)
    run = read_run(tmp_path)
    assert run is not None
    assert run["format"] == 1
    assert run["stage"] == "distill"
    assert run["config"] == {"beta": 0.4, "output": "caf\u00e9"}
    assert run["metrics"]["test"]["accuracy"] == 0.9456
    assert run["notes"] == ["three texts stand in train and test"]


def test_folder_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    record(inputs={"data": "caf\udce9"}).write(tmp_path)
    run = read_run(tmp_path)
    assert run is not None
    assert run["inputs"]["data"] == "caf\udce9"


def test_equal_runs_write_equal_records_but_for_their_duration(tmp_path: Path) -> None:
    written = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        record(duration_s=float(number)).write(folder)
        run = read_run(folder)
        assert run is not None
        assert run.pop("duration_s") == number
        written.append(run)
    assert written[0] == written[1]


def test_read_run_of_a_folder_without_one_is_none(tmp_path: Path) -> None:
    assert read_run(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "[" * 100_000])
def test_read_run_refuses_a_damaged_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(MkdError, match=r"run\.json is damaged"):
        read_run(tmp_path)


def test_read_run_refuses_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(MkdError, match="is damaged"):
        read_run(tmp_path)


def test_versions_name_what_is_installed_and_skip_what_is_not() -> None:
    found = versions()
    assert found["mixkd"] == __version__
    assert {"python", "numpy", "onnxruntime", "tokenizers"} <= set(found)
    json.dumps(found)


def test_data_fingerprint_names_rows_and_sha256(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("text\nx\n", encoding="utf-8")
    corpus = open_corpus(path)
    found = data_fingerprint(corpus, {"train": 1})
    assert found["name"] == "train.tsv"
    assert found["splits"]["train"] == {"rows": 1, "sha256": corpus.split("train").fingerprint()}


def test_run_is_resumed_only_with_the_same_options_and_the_same_content(tmp_path: Path) -> None:
    train, file = tmp_path / "train.tsv", tmp_path / "request.json"
    train.write_text("text\tlabel\none\ta\n", encoding="utf-8")

    def guard(data: Path = train, columns: Columns | None = None, **config: Any) -> None:
        corpus = open_corpus(data, columns)
        guard_resume(file, request_of(corpus, config={"seed": 1, "where": Path("x")} | config, teacher="t"))

    guard()
    guard()
    moved = tmp_path / "elsewhere" / "train.tsv"
    moved.parent.mkdir()
    moved.write_bytes(train.read_bytes())
    guard(moved)  # the same texts at another place
    with pytest.raises(ConfigError, match=r"other options or data \(config.beta, config.seed differ\)"):
        guard(seed=2, beta=3)
    with pytest.raises(ConfigError, match=r"\(columns.label differ\)"):
        guard(columns=Columns(label="kind"))
    train.write_text("text\tlabel\none\tb\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\(data.train differ\).*--overwrite"):
        guard()
    file.write_text('{"inputs": {"teach', encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged"):
        guard()
