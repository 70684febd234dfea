"""Bundles whose JSON was changed, as a stranger's might be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from tests.examples.conftest import FIXTURE

Change: TypeAlias = Callable[[dict[str, Any]], object]
"""Changes the content of a file."""


def copy_fixture(folder: Path) -> Path:
    """Return a bundle of one's own in a new folder."""
    return Path(shutil.copytree(FIXTURE, folder))


def edit(path: Path, change: Change) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def with_values(**values: object) -> Change:
    """Put values into the file's object."""
    return lambda content: content.update(values)


def without(name: str) -> Change:
    """Take a member off the file's object."""
    return lambda content: content.pop(name)


def without_token(name: str) -> Change:
    """Take a token out of a tokenizer."""

    def change(content: dict[str, Any]) -> None:
        del content["model"]["vocab"][name]
        content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != name]

    return change


STRANGE: dict[str, tuple[str, Change, str]] = {
    "no length": ("mkd.json", with_values(max_length=0), "must be a whole number from 4 to 131072"),
    "length of 2^64/3": ("mkd.json", with_values(max_length=2**64 // 3), "max_length must be a whole number"),
    "length as text": ("mkd.json", with_values(max_length="32"), "max_length must be a whole number"),
    "no labels": ("mkd.json", with_values(labels=[]), "labels must"),
    "number as label": ("mkd.json", with_values(labels=["a", 1, "b", "c", "d"]), "mkd.json: "),
    "threshold": ("mkd.json", with_values(threshold=1.5), "threshold must be"),
    "no CLS": ("tokenizer.json", without_token("[CLS]"), "no [CLS]"),
    "no SEP": ("tokenizer.json", without_token("[SEP]"), "no [SEP]"),
    "no UNK": ("tokenizer.json", without_token("[UNK]"), "no [UNK]"),
    "no PAD": ("tokenizer.json", without_token("[PAD]"), "no [PAD]"),
}
"""What every example refuses: by name the file, what is changed in it, and a part of what is said."""
