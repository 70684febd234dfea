"""The report's files: writes them, and reads `report.json` back into the values it was written from."""

import json
import re
from dataclasses import asdict
from pathlib import Path

from mixkd.bench.decode import DecodeError, brief, decode, read_json
from mixkd.bench.report.schema import SCHEMA_VERSION, Report
from mixkd.errors import MeasureError

REPORT_FILE = "report.json"
HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"

_MOST_BYTES = 32 * 2**20
"""The largest report that is read; 100,000 samples of five variants take 12 MB."""

_NUMBERS = re.compile(r"\[\s+-?\d+(?:,\s+-?\d+)*\s+\]")


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.html` and `report.md` in the folder."""
    # Loaded when a report is written: whoever only reads one needs no charts.
    from mixkd.bench.render.markdown import render_markdown
    from mixkd.bench.render.page import render_page

    for name, text in (
        (REPORT_FILE, to_json(report)),
        (HTML_FILE, render_page(report)),
        (MARKDOWN_FILE, render_markdown(report)),
    ):
        (folder / name).write_text(text, encoding="utf-8")


def to_json(report: Report) -> str:
    """Return the text of `report.json`."""
    body = {"schema_version": SCHEMA_VERSION, **asdict(report)}
    text = json.dumps(body, indent=1, allow_nan=False)
    # A list of numbers takes one line: there are thousands of samples.
    return _NUMBERS.sub(lambda match: " ".join(match.group().split()), text) + "\n"


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        MeasureError: If the file can't be read, or isn't a report of this schema version.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise MeasureError(f"{path} is larger than {_MOST_BYTES // 2**20} MiB: not a report of mkd bench")
        body = read_json(text)
    except OSError as error:
        raise MeasureError(f"{path} can't be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise MeasureError(f"{path} is not a report of mkd bench: {error}") from error
    version = body.get("schema_version") if isinstance(body, dict) else None
    if version != SCHEMA_VERSION:
        raise MeasureError(
            f"{path} has schema version {brief(version)}, this mixkd reads {SCHEMA_VERSION}: measure again"
        )
    try:
        report: Report = decode(Report, body)
    except DecodeError as error:
        raise MeasureError(f"{path} is damaged: {error}: measure again") from error
    return report
