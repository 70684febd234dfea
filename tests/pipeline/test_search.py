"""`mkd search` on tiny models, killed in the middle and run again."""

import io
import json
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from mixkd.bench.report.files import read_report
from mixkd.cli import main
from mixkd.runtime import open_bundle
from tests.tiny import tiny_classifier, tiny_texts, tiny_tokenizer, write_student

pytestmark = pytest.mark.slow

TRAINING = "epochs = 2.0\nbatch-size = 16\nmax-length = 24\nlearning-rate = 0.001\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of four layers, a student that is far too wide, and texts labelled by the teacher."""
    folder = tmp_path_factory.mktemp("search")
    teacher = tiny_classifier("bert", num_hidden_layers=4)
    write_student(folder / "teacher", teacher)
    wide = tiny_classifier("bert", num_hidden_layers=1, hidden_size=256, intermediate_size=512)
    write_student(folder / "wide", wide)
    tokenizer, texts = tiny_tokenizer(), tiny_texts(240)
    with torch.inference_mode():
        labels = [int(teacher(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in texts]
    (folder / "data").mkdir()
    for split, part in (("train", slice(0, 160)), ("validation", slice(160, 200)), ("test", slice(200, 240))):
        lines = [f"{text}\tlabel-{label}" for text, label in zip(texts[part], labels[part], strict=True)]
        (folder / "data" / f"{split}.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    (folder / "training.toml").write_text(TRAINING)
    return folder


@dataclass
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


def options(folder: Path) -> list[str]:
    return [
        *("--teacher", str(folder / "teacher"), "--data", str(folder / "data")),
        *("--output", str(folder / "out"), "--student", str(folder / "wide"), "--vocabulary", "full"),
        *("--kind", "transformer"),
        *("--distill-config", str(folder / "training.toml")),
        *("--max-latency-ms", "1000", "--max-size-mb", "0.2"),
    ]


def search(folder: Path, *words: str) -> Done:
    """Run the command in this process: torch is imported already."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["mkd", "search", *options(folder), *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def killed(folder: Path) -> int:
    """Kill a search once its first student is there; return that student's inode."""
    command = [sys.executable, "-m", "mixkd.cli", "search", *options(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = folder / "out" / "students" / "1-layer"
    try:
        while not first.is_dir():
            assert process.poll() is None, "the search ended before it had a student"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert not (folder / "out" / "search.json").exists()
    assert not (folder / "out" / "students" / "2-layers").exists()
    return (first / "run.json").stat().st_ino


@pytest.fixture(scope="module")
def resumed(folder: Path, killed: int) -> Done:
    return search(folder, "--resume")


@pytest.fixture(scope="module")
def result(folder: Path, resumed: Done) -> dict[str, Any]:
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    body: dict[str, Any] = json.loads((folder / "out" / "search.json").read_text())
    return body


def test_finished_candidates_are_not_trained_again(
    folder: Path, killed: int, resumed: Done, result: dict[str, Any]
) -> None:
    assert (folder / "out" / "students" / "1-layer" / "run.json").stat().st_ino == killed
    assert "training 2-layers" in resumed.stderr
    assert "training 1-layer\n" not in resumed.stderr
    assert "untrained students" not in resumed.stderr  # they were measured before the kill


def test_what_cant_keep_the_limits_is_never_trained(
    folder: Path, resumed: Done, result: dict[str, Any]
) -> None:
    wide = next(one for one in result["candidates"] if one["name"] == "wide-portable-full")
    assert wide["state"] == "skipped"
    assert "the limit is 0.2" in wide["reason"]
    assert "wide-portable-full is skipped, untrained" in resumed.stderr
    assert not (folder / "out" / "students" / "wide").exists()


def test_best_is_a_bundle_that_keeps_the_limits(folder: Path, result: dict[str, Any]) -> None:
    measured = [one for one in result["candidates"] if one["state"] == "measured"]
    assert [one["name"] for one in measured] == ["1-layer-portable-full", "2-layers-portable-full"]
    best = next(one for one in measured if one["name"] == result["best"])
    assert best["score"] == max(one["score"] for one in measured)
    assert best["pareto"]
    bundle = open_bundle(folder / "out" / "bundles" / result["best"])
    assert bundle.model_path.stat().st_size == best["size_bytes"] <= 200_000


def test_validation_chooses_and_the_test_split_is_only_told(folder: Path, result: dict[str, Any]) -> None:
    assert result["chosen_on"] == "validation"
    report = read_report(folder / "out" / "report" / "report.json")
    assert report.data.split == "validation"
    for one in result["candidates"]:
        if one["state"] == "measured":
            row = report.row(one["name"])
            assert row is not None
            assert row.quality.headline is not None
            assert one["score"] == row.quality.headline.value
            bundle = open_bundle(folder / "out" / "bundles" / one["name"])
            assert one["test_score"] == bundle.manifest.quality["int8"]


def test_untrained_student_has_the_size_of_the_trained_one(folder: Path, result: dict[str, Any]) -> None:
    probes = {probe["name"]: probe for probe in json.loads((folder / "out" / "untrained.json").read_text())}
    for one in result["candidates"]:
        if one["state"] == "measured":
            # A random tiny model has equal biases, which the file holds once.
            assert probes[one["name"]]["size_bytes"] == pytest.approx(one["size_bytes"], rel=0.1)


def test_table_is_printed_with_the_best_bundle(folder: Path, resumed: Done, result: dict[str, Any]) -> None:
    lines = resumed.stdout.splitlines()
    assert lines[2].startswith(result["best"])
    assert lines[-1] == f"best: {folder / 'out' / 'bundles' / result['best']}"


def test_search_of_another_training_is_not_gone_on_with(folder: Path, result: dict[str, Any]) -> None:
    begun = search(folder)
    assert begun.returncode == 1
    assert "--resume continues it, --overwrite starts again" in begun.stderr
    other = search(folder, "--resume", "--epochs", "7")
    assert other.returncode == 1
    assert "config.epochs differ" in other.stderr


@pytest.mark.parametrize("changed", ["data/train.tsv", "data/validation.tsv", "teacher/model.safetensors"])
def test_search_is_not_resumed_on_edited_data_or_another_teacher(
    folder: Path, result: dict[str, Any], changed: str
) -> None:
    file = folder / changed
    before = file.read_bytes()
    other = tiny_classifier("bert", num_hidden_layers=4)
    try:
        if file.suffix == ".tsv":
            file.write_bytes(before + b"bada kofo\tlabel-1\n")
        else:
            with torch.no_grad():
                other.state_dict()["classifier.bias"].add_(1)
            write_student(file.parent, other)
        done = search(folder, "--resume")
    finally:
        file.write_bytes(before)
    assert done.returncode == 1
    assert f"{'data' if file.suffix == '.tsv' else 'inputs'}." in done.stderr
    assert "start again with --overwrite" in done.stderr


def test_target_without_a_clock_is_refused(folder: Path) -> None:
    done = search(folder, "--target", "profile:pi-4")
    assert done.returncode == 1
    assert "--target profile:pi-4 measures no latency" in done.stderr


def test_limits_that_nothing_keeps_end_with_code_3_and_the_table(
    folder: Path, result: dict[str, Any]
) -> None:
    done = search(folder, "--resume", "--max-size-mb", "0.0001")
    assert done.returncode == 3
    assert "no student is within the limits" in done.stderr
    assert done.stdout.count("skipped: ") == 3


def test_json_is_every_outcome(folder: Path, result: dict[str, Any]) -> None:
    done = search(folder, "--resume", "--json", "--max-size-mb", "0.0001")
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert found["best"] is None
    assert [one["state"] for one in found["outcomes"]] == ["skipped"] * 3
