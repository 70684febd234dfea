"""Writes a report in its three forms: for machines, for a browser, for a pull request."""

from pathlib import Path

from mixkd.bench.render.markdown import render_markdown
from mixkd.bench.render.page import render_page
from mixkd.bench.report.schema import REPORT_FILE, Report

HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.html` and `report.md` in the folder."""
    for name, text in (
        (REPORT_FILE, report.to_json()),
        (HTML_FILE, render_page(report)),
        (MARKDOWN_FILE, render_markdown(report)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
