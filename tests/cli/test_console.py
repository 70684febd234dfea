"""Commands print through `mixkd.console` alone, so that nothing from outside reaches the terminal raw."""

import ast
from pathlib import Path

from tests.cli.test_layers import ROOT

STAGES = ("runtime/mixkd", "compress/mixkd", "export/mixkd")
WRITES_ITSELF = {
    "runtime/mixkd/console.py": "the one place",
    "runtime/mixkd/progress.py": "asks whether standard error is a terminal",
}
PRINTING = {"print", "typer.echo", "typer.secho", "click.echo", "click.secho", "pprint.pprint"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}


def printing(path: Path) -> list[str]:
    """Return what in a file prints, or takes hold of a stream that does."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    held = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return sorted(called & PRINTING | held & STREAMS)


def test_commands_print_through_the_console_alone() -> None:
    files = [path for stage in STAGES for path in sorted((ROOT / stage).rglob("*.py"))]
    assert len(files) > 50
    found = {path.relative_to(ROOT).as_posix(): printing(path) for path in files}
    printers = {name: what for name, what in found.items() if what}
    assert sorted(printers.keys() - WRITES_ITSELF.keys()) == []
    assert sorted(WRITES_ITSELF.keys() - printers.keys()) == []
