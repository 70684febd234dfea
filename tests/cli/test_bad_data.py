"""Data that no model can be trained on: one line with file and row, by check and by the trainings."""

from pathlib import Path

import pytest

from tests.cli.conftest import Mkd, Ran
from tests.tiny import WORDS

GOOD = [f'{{"text": "{WORDS[i % 5]}", "label": "label-{i % 5}"}}' for i in range(10)]
BAD = {
    "NaN": ('{"text": "ba", "label": NaN}', "row 11: the label nan is not a finite number"),
    "infinity": ('{"text": "ba", "label": -Infinity}', "row 11: the label -inf is not a finite number"),
    "probability": ('{"text": "ba", "label": {"label-0": NaN}}', "row 11: the probability nan of a label"),
    "surrogate": (
        '{"text": "\\udc00", "label": "label-0"}',
        "line 11: '\\udc00' is half of a surrogate",
    ),
    "digits": (f'{{"text": "ba", "label": 1{"0" * 5000}}}', "line 11: a number has more than 4300 digits"),
}


def assert_refused(ran: Ran, said: str, folder: Path) -> None:
    assert ran.code == 1, ran
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("mkd: ")
    assert said in line
    assert not [path.name for path in folder.iterdir() if path.name.strip(".").startswith("out")]


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", ["check", "finetune", "distill"])
def test_row_is_named(mkd: Mkd, command: str, kind: str, teacher: Path, tmp_path: Path) -> None:
    row, said = BAD[kind]
    (tmp_path / "train.jsonl").write_text("\n".join([*GOOD, row]) + "\n", encoding="utf-8")
    words: dict[str, list[object]] = {
        "check": [],
        "finetune": ["--model", teacher, "--output", tmp_path / "out"],
        "distill": ["--teacher", teacher, "--output", tmp_path / "out"],
    }
    ran = mkd(command, "--data", tmp_path / "train.jsonl", *words[command])
    assert_refused(ran, f"train.jsonl, {said}", tmp_path)


@pytest.mark.parametrize("command", ["check", "finetune"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text\tlabel\ttext\nba\ta\tko\n", "train.tsv, line 1: two columns have the name 'text'"),
        ("text\tlabel\nba\t0.5\nko\tinf\nmi\t2\n", "train.tsv, row 2: the label inf is not a finite number"),
        ("text\tlabel\nba\t1\nko\t2\nmi\tnan\n", "train.tsv, row 3: the label nan is not a finite number"),
    ],
)
def test_tsv_is_refused(mkd: Mkd, command: str, text: str, said: str, teacher: Path, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(text, encoding="utf-8")
    words = ["--model", teacher, "--output", tmp_path / "out"] if command == "finetune" else []
    assert_refused(mkd(command, "--data", tmp_path / "train.tsv", *words), said, tmp_path)
