"""The pages of docs/: `mkd` takes every command line, and every file and Python block works as it stands."""

import shlex
import sys
from pathlib import Path

import pytest
import typer
import typer.main

from mixkd.cli import app
from mixkd.compress.config import FinetuneConfig
from mixkd.compress.inputs import FinetuneInputs
from mixkd.configs import read_config
from mixkd.corpus.corpus import open_corpus
from mixkd.labels import read_label_space
from mixkd.options import Group
from mixkd.task import Task
from scripts.site.markdown import blocks, code, commands
from scripts.site.repository import DOCS, ROOT
from tests.newcomer import run

BUNDLE = ROOT / "tests" / "runtime" / "fixtures" / "bundle"
PAGES = sorted((ROOT / DOCS).rglob("*.md"))
TUTORIAL = ROOT / DOCS / "tutorial.md"
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Of click, or of the click that newer releases of typer hold."""

TASKS = {
    "own-data": Task.SINGLE_LABEL,
    "pairs": Task.SINGLE_LABEL,
    "multi-label": Task.MULTI_LABEL,
    "regression": Task.REGRESSION,
    "unlabelled": Task.SINGLE_LABEL,
}
"""What the data of a page is said to be."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def mkd_lines() -> list[tuple[str, str]]:
    """Return each line that calls `mkd`, with its page."""
    found = []
    for page in PAGES:
        for line in commands(text_of(page)):
            _, mkd, words = line.partition("mkd ")
            if mkd:
                found.append((page.stem, words))
    return found


def refuse(words: str) -> str | None:
    """Return why `mkd` doesn't take a command line; None where it does."""
    name, *given = shlex.split(words)
    command = typer.main.get_command(app).commands.get(name)  # type: ignore[attr-defined]  # a group
    if command is None:
        return f"no command {name}"
    try:
        context = command.make_context(name, given)
    except USAGE_ERROR as error:
        return str(error)
    if context.params.get("config_file"):
        return None
    needed = [param for param in command.params if getattr(param, "rich_help_panel", None) == Group.REQUIRED]
    missing = [param.opts[0] for param in needed if context.params[param.name] is None]
    return f"without {', '.join(missing)}" if missing else None


def data_blocks() -> list[tuple[str, str, str]]:
    return [
        (page.stem, block.title, block.text)
        for page in PAGES
        for block in blocks(text_of(page))
        if block.title and not block.title.endswith(".toml")
    ]


def test_there_are_command_lines_to_check() -> None:
    assert len(mkd_lines()) > 50


@pytest.mark.parametrize(("page", "words"), mkd_lines())
def test_mkd_takes_the_command_line(page: str, words: str) -> None:
    assert refuse(words) is None


@pytest.mark.parametrize(
    "words",
    [
        "distil --teacher teacher --data mydata --output student",
        "distill --teacher teacher --data mydata --output student --layers 3",
        "distill --teacher teacher --data mydata",
        "export student --output bundle --recipe slow",
        "compare new/report.json",
    ],
)
def test_wrong_command_lines_are_noticed(words: str) -> None:
    assert refuse(words) is not None


@pytest.mark.parametrize(("page", "name", "content"), data_blocks())
def test_data_is_read_as_the_page_says(page: str, name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    corpus = open_corpus(tmp_path / name)
    (split,) = corpus.splits
    examples = list(corpus.read(split))
    assert len(examples) >= 2
    assert (examples[0].text2 is not None) == ("text2" in content)
    if split == "train" and name.startswith("train"):
        assert read_label_space(corpus, task=None).task is TASKS[page]
    if name.startswith("unlabelled"):
        assert all(example.label is None for example in examples)


def test_every_kind_of_data_is_shown() -> None:
    assert TASKS.keys() == {page for page, _, _ in data_blocks()}


def test_option_files_are_read(tmp_path: Path) -> None:
    files = [block for page in PAGES for block in blocks(text_of(page)) if block.title.endswith(".toml")]
    assert files
    for block in files:
        (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        assert read_config(tmp_path / block.title, FinetuneInputs, FinetuneConfig)


@pytest.mark.parametrize(
    ("page", "block"),
    [
        (page.stem, block)
        for page in PAGES
        if page != TUTORIAL  # its blocks need what its commands make: see test_tutorial
        for block in code(text_of(page), "python")
    ],
)
def test_python_block_runs(page: str, block: str, tmp_path: Path) -> None:
    (tmp_path / "bundle").symlink_to(BUNDLE)
    (tmp_path / "block.py").write_text(block, encoding="utf-8")
    done = run(tmp_path, sys.executable, "-W", "error", "block.py")
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip()
