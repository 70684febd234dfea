"""`--json`: one JSON object on standard output and nothing else, for every command."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Mkd, Ran
from tests.tiny import WORDS


def values(ran: Ran, *, code: int = 0) -> Any:
    assert ran.code == code, ran.err
    return json.loads(ran.out)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "validation", "test"):
        rows = [f"{WORDS[i % 5]} {split}\tlabel-{i % 5}" for i in range(40)]
        (folder / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return folder


def test_trainings_print_their_metrics(mkd: Mkd, teacher: Path, data: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--epochs", 1, "--max-length", 8, "--json")
    found = values(mkd("finetune", "--model", teacher, "--output", tmp_path / "teacher", *words))
    assert found["folder"] == str(tmp_path / "teacher")
    assert 0 <= found["metrics"]["test"]["accuracy"] <= 1
    found = values(mkd("distill", "--teacher", teacher, "--output", tmp_path / "student", *words))
    assert set(found["metrics"]) == {"validation", "test"}


def test_check_prints_counts_and_warnings(mkd: Mkd, data: Path) -> None:
    found = values(mkd("check", "--data", data, "--json"))
    assert found["splits"]["train"]["rows"] == 40
    assert found["splits"]["train"]["classes"]["label-0"] == 8
    assert any("duplicate" in line for line in found["warnings"])


@pytest.fixture(scope="module")
def bundle(teacher: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mixkd.export import export

    return export(teacher, tmp_path_factory.mktemp("bundle") / "bundle", data=data).bundle.folder


def test_export_prints_sizes_and_quality(mkd: Mkd, teacher: Path, data: Path, tmp_path: Path) -> None:
    found = values(mkd("export", teacher, "--output", tmp_path / "bundle", "--data", data, "--json"))
    assert found["bundle"] == str(tmp_path / "bundle")
    assert found["file_bytes"] > 1000
    assert 0 <= found["quality"]["int8"] <= 1


def test_predict_and_calibrate_print_their_answers(
    mkd: Mkd, bundle: Path, data: Path, tmp_path: Path
) -> None:
    found = values(mkd("predict", bundle, WORDS[0], "--json"))
    assert found["text"] == WORDS[0]
    assert found["label"].startswith("label-")
    (tmp_path / "oos.tsv").write_text("text\n" + "\n".join(WORDS[20:40]) + "\n", encoding="utf-8")
    found = values(mkd("calibrate", bundle, "--data", data, "--oos", tmp_path / "oos.tsv", "--json"))
    assert 0 <= found["threshold"] <= 1


def test_bench_and_compare_print_the_report(mkd: Mkd, bundle: Path, data: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--output", tmp_path / "report", "--quick", "--samples", 16, "--json")
    found = values(mkd("bench", bundle, *words))
    assert found["report"] == str(tmp_path / "report")
    (row,) = (row for row in found["rows"] if row["label"] == "student-int8")
    assert row["latency"]["p50_ms"]["value"] > 0
    report = tmp_path / "report" / "report.json"
    found = values(mkd("compare", report, report, "--json"))
    assert {change["label"] for change in found["changes"]} >= {"student-int8"}
    assert not any(change["regressed"] for change in found["changes"])


def test_targets_prints_what_is_missing(mkd: Mkd) -> None:
    found = values(mkd("targets", "--json"))
    (local,) = (target for target in found if target["name"] == "local")
    assert (local["evidence"], local["missing"]) == ("device", None)
