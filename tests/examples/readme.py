"""The commands of the examples' READMEs."""

from pathlib import Path

from scripts.site import markdown
from tests.examples.programs import EXAMPLES


def commands(name: str) -> list[str]:
    """Return the commands of an example's README, without the remarks behind them, in order."""
    return markdown.commands(Path(EXAMPLES, name, "README.md").read_text(encoding="utf-8"))
