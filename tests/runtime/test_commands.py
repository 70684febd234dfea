import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.runtime import Classifier


def mkd(*arguments: object, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does: its own process, its own exit code."""
    command = [sys.executable, "-m", "mixkd.cli", *map(str, arguments)]
    return subprocess.run(command, input=typed, capture_output=True, check=False)


def test_predict_prints_label_and_score_of_each_text(bundle: Path, classifier: Classifier) -> None:
    texts = ["send my money", "wake me up at 7"]
    done = mkd("predict", bundle, *texts)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    answers = classifier.predict(texts)
    assert [label for label, _ in lines] == [answer.label for answer in answers]
    assert [float(score) for _, score in lines] == pytest.approx([a.score for a in answers], abs=1e-4)


def test_predict_reads_lines_of_any_bytes_from_standard_input(bundle: Path) -> None:
    done = mkd("predict", bundle, "--json", typed=b"wake me up at 7\r\n\n\xff\xf0\x9f\x98\x80 pay\x00\x0bnow")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == [
        "wake me up at 7",
        "",
        "\ufffd\U0001f600 pay\x00\x0bnow",
    ]
    assert answers[0]["label"] == "alarm"
    assert set(answers[0]) == {"text", "label", "score", "truncated", "abstained", "labels", "top"}


def test_predict_of_no_lines_prints_nothing(bundle: Path) -> None:
    done = mkd("predict", bundle)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_predict_gives_the_best_labels_and_abstains_when_asked(bundle: Path) -> None:
    found = CliRunner().invoke(app, ["predict", str(bundle), "pay", "--top-k", "2", "--threshold", "1"])
    label, _, first, second = found.stdout.rstrip("\n").split("\t")
    assert label == "out_of_scope"
    assert first.startswith("transfer=0.99")
    assert "=0.00" in second


def test_predict_reads_pairs_parted_by_a_tab(bundle: Path, classifier: Classifier) -> None:
    found = CliRunner().invoke(app, ["predict", str(bundle), "--pairs", "--json", "pay\tthe account"])
    answer = json.loads(found.stdout)
    assert answer["text"] == ["pay", "the account"]
    assert answer["score"] == pytest.approx(classifier.predict(("pay", "the account")).score)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere", "pay"], b"nowhere is not a bundle"),
        (["BUNDLE", "pay", "--threads", "0"], b"--threads must be at least 1, not 0"),
        (["BUNDLE", "pay", "--threshold", "2"], b"--threshold must be at least 0 and at most 1, not 2.0"),
        (["BUNDLE", "--pairs", "pay"], b"text 1 has no tab"),
    ],
)
def test_predict_says_in_one_line_what_is_wrong(bundle: Path, arguments: list[str], line: bytes) -> None:
    done = mkd("predict", *(str(bundle) if word == "BUNDLE" else word for word in arguments))
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"mkd: ")
    assert line in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_predict_stops_quietly_when_its_reader_does(bundle: Path) -> None:
    command = f"yes pay | {sys.executable} -m mixkd.cli predict {bundle} | head -n 2"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
    assert done.stdout.count(b"transfer") == 2
    assert done.stderr == b""
