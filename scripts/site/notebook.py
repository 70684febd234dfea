"""The tutorial as a Jupyter notebook: its prose, its commands and its Python blocks, each a cell."""

import json

from scripts.site.markdown import blocks, commands, replace_links

_FORMAT = 4
_FORMAT_MINOR = 5
_INSTALLING = "pip "


def notebook(page: str) -> str:
    """Return the JSON of a notebook.

    Args:
        page: The Markdown of the tutorial, with the links of the site.
    """
    cells = []
    for block in blocks(page):
        if block.language == "console":
            lines = commands(f"```console\n{block.text}```\n")
            # A notebook's own Python may be another one than the shell's.
            cells.append(_cell("code", "\n".join(f"{_sign(line)}{line}" for line in lines)))
        elif block.language == "python":
            cells.append(_cell("code", block.text.rstrip()))
        elif block.language is None:
            cells.append(_cell("markdown", replace_links(block.text, _to_html).strip()))
        else:
            cells.append(_cell("markdown", f"```{block.language}\n{block.text}```"))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    body = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": _FORMAT,
        "nbformat_minor": _FORMAT_MINOR,
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _sign(line: str) -> str:
    return "%" if line.startswith(_INSTALLING) else "!"


def _cell(kind: str, source: str) -> dict[str, object]:
    code: dict[str, object] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **code}


def _to_html(link: str) -> str:
    return f"{link.removesuffix('.md')}.html" if link.endswith(".md") else link
