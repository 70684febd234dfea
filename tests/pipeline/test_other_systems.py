"""Every stage in folders with spaces and foreign letters, on this system and as on macOS and Windows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixkd.bench.report.files import read_report
from tests.tiny import tiny_classifier, tiny_texts, write_student

FOREIGN = Path(__file__).parents[1] / "bench" / "foreign_system"
FOLDER = "mein Ordner/Ünï 文"
ONE_PROGRAM = """
import sys
from mixkd.cli import main

for words in {commands!r}:
    sys.argv = ["mkd", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{{words}}: {{end.code}}")
"""
"""Runs several commands; loading torch for each would take longer than they do."""

pytestmark = pytest.mark.slow


def write_data(folder: Path) -> None:
    """Write texts whose labels, in several scripts, follow from the vowel that the first word ends with."""
    folder.mkdir()
    texts = tiny_texts(120)
    for split, part in (("train", texts[:80]), ("validation", texts[80:100]), ("test", texts[100:])):
        rows = [f"{text}\t{'größer 大' if text.split()[0][-1] in 'aio' else 'мало'}" for text in part]
        (folder / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("system", ["here", "macos", "windows"])
def test_all_stages_run(tmp_path: Path, system: str) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    write_data(folder / "meine Dätä")
    write_student(folder / "encodeur é", tiny_classifier("bert"))
    data, short = ["--data", str(folder / "meine Dätä")], ["--epochs", "1", "--max-length", "24"]
    teacher, student, bundle, report = (str(folder / f"{name} ñ") for name in "TSBR")
    commands = [
        ["finetune", "--model", str(folder / "encodeur é"), *data, "--output", teacher, *short],
        ["distill", "--teacher", teacher, *data, "--output", student, "--student-layers", "1", *short],
        ["export", student, "--int8", *data, "--output", bundle],
        ["predict", bundle, "bada koli"],
        ["bench", bundle, "--teacher", teacher, "--student", student, *data, "--output", report, "--quick"],
    ]
    foreign = {} if system == "here" else {"PYTHONPATH": str(FOREIGN), "MKD_TEST_SYSTEM": system}
    done = subprocess.run(
        [sys.executable, "-c", ONE_PROGRAM.format(commands=commands)],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **foreign},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "größer 大\t" in done.stdout or "мало\t" in done.stdout
    measured = read_report(Path(report) / "report.json")
    assert [absent.label for absent in measured.absent] == []
    assert {"teacher-torch", "student-int8"} <= {row.label for row in measured.rows}
