"""Rules of the house: short modules, no circles, and one function for each job that once had several."""

import ast
import graphlib
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.test_layers import ROOT, imported_modules

STAGES = ("runtime", "compress", "export")
LONGEST = 300
ONE_EACH = (
    "load_classifier",
    "load_tokenizer",
    "first_line",
    "most_tokens",
    "label_space_of",
    "whole_file",
    "guard_resume",
    "no_progress",
    "open_session",
    "format_metric",
    "require",
)
"""Functions of which there were several, or nearly; each has one home."""


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for stage in STAGES:
        for path in sorted((ROOT / stage).rglob("*.py")):
            parts = path.relative_to(ROOT / stage).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def defined_functions(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_two_modules_import_each_other() -> None:
    found = modules()
    # A package's __init__ hands out names of its modules when they are asked for: that is no circle.
    graph = {
        name: {module for module in imported_modules(path) if module in found and module != name}
        for name, path in found.items()
        if path.name != "__init__.py"
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_each_of_these_jobs_has_one_function() -> None:
    counts = Counter(name for path in modules().values() for name in defined_functions(path))
    assert {name: counts[name] for name in ONE_EACH if counts[name] != 1} == {}
