"""The report's files: writes them, and reads `report.json` back into the values it was written from."""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from mixkd.bench.report.schema import SCHEMA_VERSION, Report
from mixkd.errors import ConfigError, MeasureError

REPORT_FILE = "report.json"
HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"

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
    # A list of numbers stands on one line: there are thousands of samples.
    return _NUMBERS.sub(lambda match: " ".join(match.group().split()), text) + "\n"


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        MeasureError: If the file can't be read, or isn't a report of this schema version.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MeasureError(f"{path} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise MeasureError(f"{path} is not a report of mkd bench: {error}") from error
    version = body.get("schema_version") if isinstance(body, dict) else None
    if version != SCHEMA_VERSION:
        raise MeasureError(
            f"{path} has schema version {version!r}, this mixkd reads {SCHEMA_VERSION}: measure again"
        )
    try:
        report: Report = _decode(Report, body)
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise MeasureError(f"{path} is damaged ({error!r}): measure again") from error
    return report


def _decode(kind: Any, value: Any) -> Any:
    """Return a JSON value as the type says; unknown fields are newer ones, and left out."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        # A field with a default is newer than the oldest report of this version, which lacks it.
        wanted = [f for f in fields(kind) if f.default is MISSING or f.name in value]
        return kind(**{f.name: _decode(hints[f.name], value[f.name]) for f in wanted})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _decode(inner, value)
    if origin is tuple:
        return tuple(_decode(arguments[0], item) for item in value)
    if origin in (dict, Mapping):
        return dict(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind in (int, float, str) and not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value
