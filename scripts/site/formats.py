"""The formats of the files that mkd writes, from their dataclasses: tables, and JSON Schemas for programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from mixkd.bench.decode import Range
from mixkd.bench.report.files import REPORT_FILE
from mixkd.bench.report.schema import SCHEMA_VERSION, Report
from mixkd.export.details import Details
from mixkd.runs import RUN_FILE, RUN_FORMAT, RunRecord
from mixkd.runtime.manifest import DETAILS_FILE, FORMAT_VERSION, MANIFEST_FILE, Manifest

_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", NoneType: "null"}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8,}.*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    Attributes:
        name: The file.
        where: In which folder it lies, and what writes it.
        content: The class whose fields it holds.
        version: The field that says which format it is, and its value; None where there is none.
        more: What the file holds beside the fields: the meaning of each, by name.
    """

    name: str
    where: str
    content: type
    version: tuple[str, int] | None = None
    more: Mapping[str, str] = field(default_factory=dict)


FORMATS = (
    Format(
        MANIFEST_FILE,
        "In the folder of a bundle; `mkd export` writes it, `mkd calibrate` adds the threshold.",
        Manifest,
        ("format_version", FORMAT_VERSION),
        {"checksum": "A sha256 of the other fields."},
    ),
    Format(
        RUN_FILE,
        "In the folder of a teacher or a student; `mkd finetune` and `mkd distill` write it.",
        RunRecord,
        ("format", RUN_FORMAT),
    ),
    Format(DETAILS_FILE, "In the folder of a bundle; `mkd export` writes it.", Details),
    Format(
        REPORT_FILE,
        "In the folder of a report; `mkd bench` writes it, `mkd compare` reads it.",
        Report,
        ("schema_version", SCHEMA_VERSION),
    ),
)

_INTRODUCTION = """# File formats

All are JSON in UTF-8. A version grows when a field changes its meaning or goes; new fields may come without
it. Sizes are in bytes, times in the unit that ends a name, rates are fractions of one.

"""


def schema_file(form: Format) -> str:
    """Return the file of a format's schema, beside the page."""
    return f"{Path(form.name).stem}.schema.json"


def formats_page() -> str:
    """Return the Markdown: per file its place, its schema, and a table for each object that it holds."""
    parts = []
    for form in FORMATS:
        classes = _classes(form.content)
        parts += [f"## {form.name}", form.where, f"Schema: [{schema_file(form)}]({schema_file(form)})"]
        for made in classes:
            title = [] if made is form.content else [f"### {made.__name__} {{ #{_anchor(form, made)} }}"]
            parts += [*title, _summary(made), _table(form, made)]
    return _INTRODUCTION + "\n\n".join(parts) + "\n"


def schema(form: Format) -> dict[str, Any]:
    """Return the JSON Schema of a file."""
    root, *others = _classes(form.content)
    body = _object(root)
    for name, meaning in form.more.items():
        body["properties"][name] = {"type": "string", "description": meaning}
    if form.version:
        name, value = form.version
        body["properties"] = {name: {"const": value}, **body["properties"]}
    body["required"] = [*body["properties"]]
    definitions = {made.__name__: _object(made) for made in others}
    return {"$schema": _DIALECT, "title": form.name, **body, "$defs": definitions}


def _table(form: Format, made: type) -> str:
    meanings = _meanings(made)
    hints = get_type_hints(made, include_extras=True)
    rows = ["| field | type | meaning |", "|---|---|---|"]
    if made is form.content:
        if form.version:
            rows.append(f"| `{form.version[0]}` | {form.version[1]} | The version of the format. |")
        rows += [f"| `{name}` | string | {meaning} |" for name, meaning in form.more.items()]
    for name in (f.name for f in fields(made)):
        kind = _words(hints[name], form).replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {meanings.get(name, '').replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _object(made: type) -> dict[str, Any]:
    meanings = _meanings(made)
    hints = get_type_hints(made, include_extras=True)
    properties = {}
    for name in (f.name for f in fields(made)):
        meaning = {"description": meanings[name]} if name in meanings else {}
        properties[name] = _schema_of(hints[name]) | meaning
    return {
        "type": "object",
        "description": _summary(made),
        "properties": properties,
        "required": [*properties],
    }


def _schema_of(kind: Any) -> dict[str, Any]:  # noqa: PLR0911 - one line per kind of type
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if is_dataclass(kind) and isinstance(kind, type):
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [*map(str, kind)]}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        (limits,) = [about for about in inner[1:] if isinstance(about, Range)]
        return _schema_of(inner[0]) | {"minimum": limits.low, "maximum": limits.high}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema_of(one) for one in inner]}
    if origin is tuple and inner[-1] is ...:
        return {"type": "array", "items": _schema_of(inner[0])}
    if origin is tuple:
        return {"type": "array", "prefixItems": [_schema_of(one) for one in inner], "items": False}
    return {"type": "object", "additionalProperties": _schema_of(inner[1])}


def _words(kind: Any, form: Format) -> str:  # noqa: PLR0911 - one line per kind of type
    """Return a type in words, with links to the tables of other objects."""
    if kind is Any:
        return "any"
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_dataclass(kind) and isinstance(kind, type):
        return f"[{kind.__name__}](#{_anchor(form, kind)})"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{word}`" for word in kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(inner[0], form)
    if origin in (Union, UnionType):
        return " or ".join(_words(one, form) for one in inner)
    if origin is tuple:
        several = [one for one in inner if one is not ...]
        return "list of " + " and ".join(_words(one, form) for one in several)
    return f"object of {_words(inner[1], form)}"


def _classes(root: type) -> list[type]:
    """Return a dataclass and all that its fields lead to, each once."""
    found, waiting = [], [root]
    while waiting:
        made = waiting.pop(0)
        if made not in found:
            found.append(made)
            waiting += [one for f in get_type_hints(made, include_extras=True).values() for one in _inside(f)]
    return found


def _inside(kind: Any) -> list[type]:
    if isinstance(kind, type) and is_dataclass(kind):
        return [kind]
    return [one for part in get_args(kind) if not isinstance(part, Range) for one in _inside(part)]


def _summary(made: type) -> str:
    return " ".join(cleandoc(made.__doc__ or "").split("\n\n")[0].split())


def _meanings(made: type) -> dict[str, str]:
    """Return what is said of each field, by its class's docstring or as the help of an option."""
    said: dict[str, str] = {}
    for base in reversed(made.__mro__):
        _, _, listed = cleandoc(base.__doc__ or "").partition("Attributes:\n")
        said |= {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(listed)}
    options = {f.name: f.metadata["option"].help for f in fields(made) if "option" in f.metadata}
    return {name: _in_json(text) for name, text in (said | options).items()}


def _in_json(text: str) -> str:
    """Return a docstring's sentence with JSON's word for None."""
    return re.sub(r"\bNone\b", "null", text.replace("``", "`"))


def _anchor(form: Format, made: type) -> str:
    """Return the anchor of a class's table; the file's own class stands under the heading of the file."""
    if made is form.content:
        return form.name.replace(".", "")
    return f"{Path(form.name).stem}-{made.__name__}".lower()
