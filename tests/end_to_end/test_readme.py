"""What the README tells people to type works: each line is run here, or by the test that is named here."""

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from mixkd.corpus.corpus import built_in_file
from scripts.site.markdown import code, commands
from tests.newcomer import run

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
INTENTS = ("transfer", "alarm", "weather")
TEXTS = {"train": 8, "validation": 10, "test": 20}

ELSEWHERE = {
    "make quickstart": "tests/end_to_end/test_quickstart.py::test_every_stage_left_its_folder_and_its_record",
    "make test": ".ci/run",
    "pip install .": (
        "tests/end_to_end/test_install.py::test_wheel_without_extras_runs_where_torch_is_not_installed"
    ),
    'pip install ".[compress]"': "Makefile",  # by way of the extra quickstart, which holds all three
    'pip install ".[export]"': "Makefile",
    'pip install ".[quickstart]"': "Makefile",
    "mkd push bundle org/name --private": (
        "tests/runtime/test_hub.py::test_a_private_repository_is_made_and_a_public_one_is_not_taken_for_it"
    ),
    "mkd augment --data mydata --output back.jsonl": "tests/compress/test_augment.py",
    "torchrun --nproc-per-node 4 --no-python mkd distill --teacher teacher --data mydata --output student": (
        "tests/compress/test_processes.py::test_two_processes_train_what_one_does_with_two_batches_a_step"
    ),
}
"""Lines that aren't run here, and the file or test that runs them."""


def of_the_makefile() -> list[str]:
    """Return the Makefile's commands as typed in an active environment, without --quiet and the coverage."""
    found = []
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if line.startswith("\t$(BIN)/"):
            plain = re.sub(r" --(quiet|cov-fail-under \d+|cov-append|cov)\b", "", line.strip())
            found.append(plain.removeprefix("$(BIN)/").replace("'", '"'))
    return found


def without_make() -> list[str]:
    """Return the lines that stand for `make quickstart` and `make test`."""
    return commands(TEXT.partition("### Without make")[2].partition("\n## ")[0])


def run_here() -> list[str]:
    lines = commands(TEXT)
    return [line for line in lines if line.startswith("mkd ") and line not in {*ELSEWHERE, *without_make()}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: some intents of the built-in data in files of their own, and other texts."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "mydata").mkdir()
    for split, most in TEXTS.items():
        with built_in_file("clinc150", f"{split}.tsv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        kept: dict[str, int] = defaultdict(int)
        lines = ["text\tlabel"]
        for row in rows:
            kept[row["label"]] += 1
            if row["label"] in INTENTS and kept[row["label"]] <= most:
                lines.append(f"{row['text']}\t{row['label']}")
        (folder / "mydata" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    strange = built_in_file("clinc150", "oos_test.tsv").read_text(encoding="utf-8")
    (folder / "strange.tsv").write_text(strange, encoding="utf-8")
    texts = "".join(f'{{"text": "{row}"}}\n' for row in ("move some money", "wake me", "is it cold outside"))
    for name in ("back.jsonl", "unlabelled.jsonl"):
        (folder / name).write_text(texts, encoding="utf-8")
    (folder / "many_texts.txt").write_text("how do i pay\nwake me up at 7\n", encoding="utf-8")
    return folder


def test_every_line_to_type_is_run_by_a_test() -> None:
    lines = commands(TEXT)
    assert [line for line in lines if line not in {*run_here(), *ELSEWHERE, *without_make()}] == []
    assert [line for line in ELSEWHERE if line not in lines] == []


def test_the_lines_without_make_are_those_of_the_makefile() -> None:
    made = of_the_makefile()
    quickstart = [
        line for line in made if "torch==" in line or "[quickstart]" in line or " quickstart " in line
    ]
    tests = [line for line in made if "[dev]" in line or line.startswith(("ruff", "mypy"))]
    tests += [line for line in made if "pytest" in line and "skipped" not in line]
    assert sorted(without_make()) == sorted([*quickstart, *tests])


def test_the_named_tests_exist() -> None:
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text, place


@pytest.mark.slow
def test_the_readme_works_line_by_line(folder: Path) -> None:
    for line in run_here():
        done = run(folder, "bash", "-c", line)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    for number, block in enumerate(code(TEXT, "python")):
        program = folder / f"block{number}.py"
        program.write_text(block, encoding="utf-8")
        done = run(folder, sys.executable, program.name)
        assert done.returncode == 0, f"{block}\n{done.stderr[-4000:]}"
