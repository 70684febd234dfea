"""Nothing from outside, a label, a name or a report, steers the terminal or forges a line of output."""

import json
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.runtime.bundle import open_bundle, write_manifest
from mixkd.runtime.session import load_onnxruntime
from tests.cli.conftest import Mkd, Ran

BUNDLE = Path(__file__).parents[1] / "runtime" / "fixtures" / "bundle"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
ODD = "ok\t0.9999\nforged\t1.0000\x1b]0;title\x07\x1b[2J\r\u202egnp\x9b31m"


def assert_harmless(ran: Ran, *, lines: int | None = None) -> None:
    assert not STEERING.search(ran.out + ran.err), ran
    assert "\nforged" not in ran.out + ran.err
    if lines is not None:
        assert len(ran.out.splitlines()) == lines


@pytest.fixture
def odd_bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    shutil.copytree(BUNDLE, folder)
    manifest = open_bundle(folder).manifest
    labels = tuple(f"{label} {ODD}" for label in manifest.labels)
    write_manifest(folder, replace(manifest, labels=labels))
    return folder


def test_labels_of_a_bundle_stay_in_their_line(mkd: Mkd, odd_bundle: Path) -> None:
    ran = mkd("predict", odd_bundle, "pay", "wake me", "--top-k", 2)
    assert ran.code == 0, ran.err
    assert_harmless(ran, lines=2)
    assert all(len(line.split("\t")) == 4 for line in ran.out.splitlines())
    ran = mkd("predict", odd_bundle, "pay", "--json")
    assert_harmless(ran, lines=1)
    assert ODD in json.loads(ran.out)["label"]
    assert_harmless(mkd("inspect", odd_bundle))


def test_text_that_is_not_utf8_comes_back_as_an_escape(mkd: Mkd, odd_bundle: Path) -> None:
    ran = mkd("predict", odd_bundle, "a \udce9 text", "--json")  # as Python reads such a word of the shell
    assert_harmless(ran, lines=1)
    assert json.loads(ran.out)["text"] == "a \udce9 text"


def test_names_in_errors_stay_in_their_line(mkd: Mkd, tmp_path: Path) -> None:
    ran = mkd("predict", tmp_path / f"nowhere{ODD.replace('/', '')}", "pay")
    assert ran.code == 1
    assert_harmless(ran)
    assert len(ran.err.splitlines()) == 1


def test_labels_of_the_data_stay_in_their_line(mkd: Mkd, tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": f"{i % 2} {ODD}"} for i in range(8)]
    for split in ("train", "test"):
        text = "\n".join(map(json.dumps, [*rows, {"text": "alone", "label": f"{split} {ODD}"}]))
        (tmp_path / f"{split}.jsonl").write_text(text + "\n", encoding="utf-8")
    ran = mkd("check", "--data", tmp_path)
    assert ran.code == 0, ran.err
    assert_harmless(ran)


def test_old_onnxruntime_is_told_in_one_line(mkd: Mkd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_onnxruntime(), "__version__", "1.21.1")
    for command in (("predict", BUNDLE, "pay"), ("inspect", BUNDLE)):
        with warnings.catch_warnings():
            warnings.resetwarnings()  # as outside of tests, where a warning is no error
            ran = mkd(*command)
        assert ran.code == 0, ran.err
        assert ran.err.startswith("mkd: onnxruntime 1.21.1 has known memory errors: ")
        assert len(ran.err.splitlines()) == 1


def test_report_from_others_stays_in_its_lines(mkd: Mkd, tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("text\npay\nwake me up\n", encoding="utf-8")
    words = ("--data", tmp_path / "data.tsv", "--output", tmp_path / "report", "--quick", "--samples", 16)
    assert mkd("bench", BUNDLE, *words).code == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    for row in report["rows"]:
        row["label"] += ODD
    report["targets"][0]["name"] += ODD
    for number in ("1", "2"):
        (tmp_path / number).write_text(json.dumps(report), encoding="utf-8")
    ran = mkd("compare", tmp_path / "1", tmp_path / "2")
    assert_harmless(ran)
