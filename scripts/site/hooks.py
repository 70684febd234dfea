"""What mkdocs calls while it builds the site: adds the pages that are made, and finishes the written ones."""

import json
import re
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from scripts.site.commands import commands_page
from scripts.site.equations import with_equations
from scripts.site.figures import with_tables
from scripts.site.formats import FORMATS, formats_page, schema, schema_file
from scripts.site.notebook import notebook
from scripts.site.repository import DOCS, ROOT, BrokenLinkError, linked_pages, with_site_links

_FIGURE_SIGN = re.compile(r"<p>::</p>|(?<=\w)(:):(?=</p>)")
TUTORIAL = "tutorial.md"
COMMANDS_PAGE = "reference/commands.md"
FORMATS_PAGE = "reference/formats.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the notebook, the generated reference, and the repository's files that pages link to."""
    written = [f"{DOCS}{file.src_uri}" for file in files.documentation_pages()]
    try:
        made = linked_pages(written)
    except BrokenLinkError as error:
        raise PluginError(str(error)) from error
    made |= {COMMANDS_PAGE: commands_page(), FORMATS_PAGE: formats_page()}
    made |= {
        f"reference/{schema_file(form)}": json.dumps(schema(form), indent=1, ensure_ascii=False) + "\n"
        for form in FORMATS
    }
    made["tutorial.ipynb"] = notebook(_with_site_links(TUTORIAL, (ROOT / DOCS / TUTORIAL).read_text("utf-8")))
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make a page's links lead to pages of the site, and put the tables into it."""
    if page.file.generated_by:
        return markdown
    return with_tables(_with_site_links(page.file.src_uri, markdown))


def on_page_content(html: str, **_: Any) -> str:
    """Write a page's equations as MathML, and leave out the `::` that docstrings have before a figure."""
    return with_equations(_FIGURE_SIGN.sub(lambda sign: sign[1] or "", html))


def _with_site_links(uri: str, markdown: str) -> str:
    return with_site_links(f"{DOCS}{uri}", markdown)
