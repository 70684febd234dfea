"""Reads Markdown: its fenced blocks, what a reader is told to type, and its links."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

_FENCE = re.compile(r"^```([\w-]*)([^\n]*)\n(.*?)^```[ ]*$\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^)\s#]+)(#[^)\s]*)?\)")
_TITLE = re.compile(r'title="([^"]+)"')
_REMARK = re.compile(r"\s{2,}# .*")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, or the prose between two of them.

    Attributes:
        language: What stands behind the fence, such as ``python``; None for prose.
        text: The content, with a line break at its end.
        title: The file that it shows, as in `title="pairs.tsv"`; empty without one.
    """

    language: str | None
    text: str
    title: str = ""


def blocks(text: str) -> list[Block]:
    """Return the prose and the fenced blocks of a page, in order."""
    found, end = [], 0
    for fence in _FENCE.finditer(text):
        found.append(Block(None, text[end : fence.start()]))
        title = _TITLE.search(fence[2])
        found.append(Block(fence[1], fence[3], title[1] if title else ""))
        end = fence.end()
    found.append(Block(None, text[end:]))
    return [block for block in found if block.language is not None or block.text.strip()]


def code(text: str, language: str) -> list[str]:
    """Return the blocks of one language."""
    return [block.text for block in blocks(text) if block.language == language]


def commands(text: str) -> list[str]:
    """Return the lines of a page's console blocks that follow a prompt, without the remarks behind them."""
    lines = [line for block in code(text, "console") for line in block.replace("\\\n", "").splitlines()]
    typed = [_REMARK.sub("", line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]
    return [" ".join(line.split()) for line in typed]


def replace_links(text: str, place: Callable[[str], str | None]) -> str:
    """Return a page with the places of its links changed, but not those in its fenced blocks.

    Args:
        text: The page.
        place: From a link's place, without its anchor, to another; None leaves only the words.
    """

    def changed(link: re.Match[str]) -> str:
        words, file, anchor = link.groups(default="")
        found = place(file)
        return words if found is None else f"[{words}]({found}{anchor})"

    ends = [0, *(end for fence in _FENCE.finditer(text) for end in fence.span()), len(text)]
    parts = [text[start:end] for start, end in pairwise(ends)]
    return "".join(part if number % 2 else _LINK.sub(changed, part) for number, part in enumerate(parts))


def links(text: str) -> list[str]:
    """Return the places of a page's links to files, without anchors."""
    found: list[str] = []

    def noted(place: str) -> str:
        found.append(place)
        return place

    replace_links(text, noted)
    return found
