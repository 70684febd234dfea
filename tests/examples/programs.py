"""Running the example programs: copied to a folder of their own, fed lines, asked for labels."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.tools import unavailable

EXAMPLES = Path(__file__).parents[2] / "examples"
# Even CI is cleared: onnxruntime keeps quiet where it is set, and a user's machine has none.
PLAIN = {name: value for name, value in os.environ.items() if name not in {"CI", "HOME"}}


def copy_example(name: str, folder: Path) -> Path:
    """Return a copy of an example's own files; what npm installed beside them is linked."""
    target = folder / name
    shutil.copytree(EXAMPLES / name, target, ignore=shutil.ignore_patterns("node_modules"))
    modules = EXAMPLES / name / "node_modules"
    if (EXAMPLES / name / "package.json").exists():
        if not modules.is_dir():
            unavailable(f"needs the packages of examples/{name}: run scripts/install_tools.sh")
        (target / "node_modules").symlink_to(modules)
    return target


def ask(command: list[str], texts: list[str], folder: Path) -> list[str]:
    """Return the labels that a program prints for texts; it may leave nothing in its home."""
    return [label for label, *_ in ask_lines(command, texts, folder)]


def ask_scores(command: list[str], texts: list[str], folder: Path) -> list[tuple[str, float]]:
    """Return the labels and the scores that a program prints for texts, as `ask` does."""
    return [(label, float(score)) for label, score in ask_lines(command, texts, folder)]


def ask_lines(command: list[str], texts: list[str], folder: Path) -> list[list[str]]:
    """Return the fields of the lines that a program prints for texts, as `ask` does."""
    home = folder / "home"
    home.mkdir()
    lines = "".join(f"{text}\n" for text in texts)
    done = subprocess.run(
        command,
        input=lines,
        cwd=folder,
        env={**PLAIN, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
    return [line.split("\t") for line in done.stdout.splitlines()]
