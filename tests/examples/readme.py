"""The commands of the examples' READMEs."""

import re
from pathlib import Path

from tests.examples.programs import EXAMPLES

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[str]:
    """Return the commands of an example's README, without the comments behind them, in order."""
    text = Path(EXAMPLES, name, "README.md").read_text(encoding="utf-8")
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    return [re.sub(r"\s+# .*", "", line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]
