"""Takes into the site what its pages link to in the repository: other Markdown files, and source files.

So each text has one home, and no link leads out of the site.
"""

import posixpath
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from scripts.site.markdown import links, replace_links

ROOT = Path(__file__).parents[2]
DOCS = "docs/"
FOLDER = "repository/"
_LANGUAGES = {".py": "python", ".c": "c", ".js": "javascript", ".mjs": "javascript", ".json": "json"}


class BrokenLinkError(ValueError):
    """A link leads to nothing."""


def page_of(path: str) -> str:
    """Return the page, relative to the site's root, that shows a file of the repository.

    Args:
        path: Relative to the repository, with slashes.
    """
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return FOLDER + (path if path.endswith(".md") else f"{path}.md")


def linked_pages(starts: Iterable[str]) -> dict[str, str]:
    """Return the pages, with their Markdown, that show the files which some files lead to.

    Args:
        starts: Markdown files of `docs/`, relative to the repository.
    """
    pages: dict[str, str] = {}
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        for place in links((ROOT / path).read_text(encoding="utf-8")):
            found = _file_at(path, place)
            if found is None or found.startswith(DOCS) or page_of(found) in pages:
                continue
            pages[page_of(found)] = _content(found)
            if found.endswith(".md"):
                waiting.append(found)
    return pages


def with_site_links(path: str, text: str) -> str:
    """Return the Markdown of a file with its links leading to pages of the site.

    Args:
        path: The file, relative to the repository.
        text: Its Markdown.

    Raises:
        BrokenLinkError: If a link leads to nothing in the repository.
    """
    own = posixpath.dirname(page_of(path))

    def place(link: str) -> str | None:
        if path.startswith(DOCS) and not posixpath.normpath(posixpath.join(own, link)).startswith(".."):
            return link  # within docs/, where mkdocs knows the pages that are made, too
        found = _file_at(path, link)
        return None if found is None else posixpath.relpath(page_of(found), own or ".")

    return replace_links(text, place)


def _file_at(path: str, link: str) -> str | None:
    """Return the file that a link leads to; None for a folder without a README, and for pages made here."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if (ROOT / found).is_dir():
        readme = f"{found}/README.md"
        return readme if (ROOT / readme).is_file() else None
    if (ROOT / found).is_file():
        return found
    if found.startswith(DOCS):
        return None  # made by the build, or broken: mkdocs tells
    raise BrokenLinkError(f"{path} links to {link}, which isn't there")


def _content(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return with_site_links(path, text)
    language = _LANGUAGES.get(PurePosixPath(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text}````\n"
