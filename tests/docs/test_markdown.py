"""Markdown is read as a reader sees it: blocks, commands, and links into the repository."""

import json

import pytest

from mixkd.bench.targets import ssh
from scripts.site.markdown import blocks, commands, links
from scripts.site.notebook import notebook
from scripts.site.repository import DOCS, ROOT, BrokenLinkError, linked_pages, with_site_links

PAGE = """# Title

See [the page](other.md#part) and [a site](https://example.org).

```console
$ mkd check --data mydata    # a remark
train: 3 texts
$ mkd distill --teacher teacher \\
    --data mydata --output student
```

```tsv title="train.tsv"
text\tlabel
[a](b.md)\tx
```
"""


def test_blocks_have_language_and_title() -> None:
    assert [(block.language, block.title) for block in blocks(PAGE)] == [
        (None, ""),
        ("console", ""),
        ("tsv", "train.tsv"),
    ]


def test_commands_are_what_is_typed() -> None:
    assert commands(PAGE) == [
        "mkd check --data mydata",
        "mkd distill --teacher teacher --data mydata --output student",
    ]


def test_links_are_those_to_files_outside_of_blocks() -> None:
    assert links(PAGE) == ["other.md"]


def test_link_into_the_repository_leads_to_a_page_of_the_site() -> None:
    text = "[a](../../SECURITY.md#bundles) [b](../../examples/c) [c](../tutorial.md) [d](../../examples)"
    found = with_site_links("docs/how-to/c.md", text)
    there = "../repository"
    assert (
        found == f"[a]({there}/SECURITY.md#bundles) [b]({there}/examples/c/README.md) [c](../tutorial.md) d"
    )


def test_link_to_nothing_in_the_repository_is_an_error() -> None:
    with pytest.raises(BrokenLinkError, match=r"docs/index.md links to ../NOTHING.md"):
        with_site_links("docs/index.md", "[a](../NOTHING.md)")


def test_what_a_linked_page_links_to_is_taken_in_too() -> None:
    pages = linked_pages([f"{DOCS}index.md"])
    assert {
        "repository/README.md",
        "repository/benchmarks/README.md",
        "repository/SECURITY.md",
    } <= pages.keys()
    assert "repository/compress/mixkd/compress/losses.py.md" in pages  # by way of the README
    assert not any(name.startswith("docs/") for name in pages)


def test_equations_become_mathml() -> None:
    equations = pytest.importorskip("scripts.site.equations", reason="the extra docs is not installed")
    html = equations.with_equations(
        '<p>$<code>\\lambda</code>$</p><pre class="math"><code>a &lt; b</code></pre>'
    )
    assert "<mi>&#x003BB;</mi>" in html
    assert 'display="block"' in html
    assert "<code>" not in html


def test_notebook_has_a_cell_for_each_block_and_no_output_in_it() -> None:
    cells = json.loads(notebook(PAGE))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "markdown"]
    assert "other.html#part" in cells[0]["source"]
    assert cells[1]["source"].splitlines()[0] == "!mkd check --data mydata"
    assert "3 texts" not in cells[1]["source"]


def test_device_page_installs_what_the_worker_needs() -> None:
    text = (ROOT / DOCS / "how-to" / "device.md").read_text(encoding="utf-8")
    assert f"pip install {ssh._PACKAGES}" in commands(text)[0]
