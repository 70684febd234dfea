"""`mkd quickstart --smoke`, as a user runs it: real weights, real texts, every stage, on this machine."""

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mixkd.corpus.corpus import built_in_file
from mixkd.runtime import Classifier
from mixkd.runtime.bundle import open_bundle

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MKD = str(Path(sys.executable).with_name("mkd"))


def mkd(*words: object, **environment: str) -> str:
    done = subprocess.run(
        [MKD, *map(str, words)],
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The output folder of a smoke run, and what it printed; the hub is out of reach."""
    folder = tmp_path_factory.mktemp("quickstart") / "out"
    return folder, mkd("quickstart", "--smoke", "--output", folder, HF_HUB_OFFLINE="1")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    with built_in_file("clinc150", "test.tsv").open(encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][::9]


def load_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_stage_left_its_folder_and_its_record(made: tuple[Path, str]) -> None:
    folder, _ = made
    assert sorted(path.name for path in folder.iterdir()) == [
        ".mkd",
        "bundle",
        "report",
        "request.json",
        "student",
        "teacher",
    ]
    for stage in ("teacher", "student"):
        run = load_json(folder / stage / "run.json")
        assert set(run["metrics"]) == {"validation", "test"}
        assert run["data"]["splits"]["train"]["rows"] > 0
    assert open_bundle(folder / "bundle").manifest.precision == "int8"


def test_teacher_and_student_learned(made: tuple[Path, str]) -> None:
    folder, _ = made
    for stage in ("teacher", "student"):
        accuracy = load_json(folder / stage / "run.json")["metrics"]["test"]["accuracy"]
        assert accuracy > 0.1, stage  # chance is 1 of 150


def test_table_names_teacher_and_student(made: tuple[Path, str]) -> None:
    _, shown = made
    for words in ("teacher-torch", "student-int8", "accuracy", "p50", "p90", "memory", "size", "speed-up"):
        assert words in shown
    assert "report.html" in shown
    assert "bundle" in shown


def rows_of(split: str) -> list[dict[str, str]]:
    with built_in_file("clinc150", f"{split}.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def drift_of(bundle: Path, texts: list[str], folder: Path) -> dict[str, Any]:
    file = folder / "new.tsv"
    file.write_text("".join(f"{text}\n" for text in ["text", *texts]), encoding="utf-8")
    shown: dict[str, Any] = json.loads(mkd("drift", bundle, "--data", file, "--json"))
    return {each["of"]: each["drifts"] for each in shown["drift"]["differences"]}


def test_other_texts_of_the_same_intents_do_not_drift(made: tuple[Path, str], tmp_path: Path) -> None:
    again = random.Random(4).choices([row["text"] for row in rows_of("validation")], k=2000)
    assert not any(drift_of(made[0] / "bundle", again, tmp_path).values())


def test_texts_of_fewer_intents_drift(made: tuple[Path, str], tmp_path: Path) -> None:
    rows = rows_of("validation")
    kept = set(sorted({row["label"] for row in rows})[::8])  # of a smoke run's 225 texts, few have a label
    left = [row["text"] for row in rows if row["label"] in kept]
    assert drift_of(made[0] / "bundle", left, tmp_path)["labels"]


def test_predict_reads_arguments_and_lines(made: tuple[Path, str], texts: list[str]) -> None:
    bundle = made[0] / "bundle"
    expected = [prediction.label for prediction in Classifier.load(bundle).predict(texts[:3])]
    shown = mkd("predict", bundle, *texts[:3]).splitlines()
    assert [label in line for label, line in zip(expected, shown, strict=True)] == [True] * 3
    piped = subprocess.run(
        [MKD, "predict", bundle],
        input="\n".join(texts[:3]) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert piped.stdout.splitlines() == shown


def test_resumed_quickstart_keeps_what_is_done(made: tuple[Path, str]) -> None:
    folder, _ = made
    before = (folder / "student" / "run.json").stat().st_mtime_ns
    printed = json.loads(mkd("quickstart", "--smoke", "--resume", "--json", "--output", folder))
    assert printed["bundle"] == str(folder / "bundle")
    assert {row["label"] for row in printed["rows"]} >= {"teacher-torch", "student-int8"}
    assert (folder / "student" / "run.json").stat().st_mtime_ns == before


def test_quickstart_is_not_resumed_with_another_seed(made: tuple[Path, str]) -> None:
    command = [MKD, "quickstart", "--smoke", "--resume", "--seed", "7", "--output", str(made[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "config.seed differ" in done.stderr
