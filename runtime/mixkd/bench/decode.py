"""JSON of strangers to typed values: what the types don't allow is refused before a number is believed.

One decoder reads the answers of workers and the report files. The types are those of the dataclasses that
are written; a rule about several fields is checked in the dataclass's `__post_init__`, as a `ValueError`.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from mixkd.errors import MkdError

_LARGEST = 2**63 - 1
"""No count or time is larger, and numpy holds it."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bounds of a number, or of a text's length, for `Annotated`."""

    low: float
    high: float = _LARGEST


Count: TypeAlias = Annotated[int, Range(0)]
"""A number of things, of bytes or of nanoseconds."""

Positive: TypeAlias = Annotated[int, Range(1)]
"""A count that something is divided by."""

Amount: TypeAlias = Annotated[float, Range(0)]
"""A measured quantity that can't be negative."""

_ANY_NUMBER = Range(-_LARGEST)
_ANY_TEXT = Range(0, 10_000)

_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    bool: "a bool",
}


class DecodeError(ValueError):
    """What is wrong with a value, and where in the JSON it is."""


def read_json(text: bytes) -> Any:
    """Return the value of a JSON text; `NaN` and `Infinity` are no JSON.

    Raises:
        DecodeError: If it is none, or nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise DecodeError("it is nested too deeply") from error
    except DecodeError:
        raise
    except ValueError as error:
        raise DecodeError(f"it is not JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise DecodeError(f"{name} is no number in JSON")


def decode(kind: Any, value: Any, where: str = "") -> Any:
    """Return a JSON value as a type says.

    Args:
        kind: A dataclass, or any type of its fields: numbers, texts, `None`, lists, tuples, mappings.
        value: What `read_json` gave. Fields that the dataclass hasn't are newer ones, and left out.
        where: How to name the value in errors.

    Raises:
        DecodeError: If the value is of another type, no finite number, out of its range, or breaks a rule of
            its dataclass.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _scalar(arguments[0], value, where, arguments[1])
    if origin in (Union, UnionType):
        inner = next(argument for argument in arguments if argument is not NoneType)
        return None if value is None else decode(inner, value, where)
    if origin in (tuple, list):
        items = _of_type(list, value, where)
        return origin(decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin in (dict, Mapping):
        found = _of_type(dict, value, where)
        return {key: decode(arguments[1], item, f"{where}[{key!r:.40}]") for key, item in found.items()}
    if is_dataclass(kind):
        return _dataclass(kind, _of_type(dict, value, where), where)
    return _scalar(kind, value, where, _ANY_TEXT if kind is str else _ANY_NUMBER)


def brief(value: Any) -> str:
    """Return a value in a few words, for an error."""
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) <= _LARGEST else "a huge integer"
    return repr(value[:40]) if isinstance(value, str) else _NAMES.get(type(value), type(value).__name__)


def _dataclass(kind: Any, found: dict[str, Any], where: str) -> Any:
    values = {}
    for name, hint, needed in _fields(kind):
        if name in found:
            values[name] = decode(hint, found[name], f"{where}.{name}" if where else name)
        elif needed:
            # A field with a default is newer than the oldest file of its kind, which lacks it.
            raise DecodeError(f"{_named(where)} has no {name}")
    try:
        return kind(**values)
    except (ValueError, MkdError) as error:
        raise DecodeError(f"{where}: {error}" if where else str(error)) from error


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in fields(kind)
    )


def _scalar(kind: Any, value: Any, where: str, bounds: Range) -> Any:
    if kind is str:
        text: str = _of_type(str, value, where)
        _check_range(len(text), bounds, f"the length of {_named(where)}")
        return text
    if kind is bool:
        return _of_type(bool, value, where)
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise DecodeError(f"{_named(where)} is {brief(value)}, none of {', '.join(kind)}")
        return kind(value)
    # JSON may write 5.0 as 5; True is an int to Python, and no number.
    number = value if kind is float and type(value) is int else _of_type(kind, value, where)
    _check_range(number, bounds, _named(where))
    return kind(number)


def _of_type(kind: type, value: Any, where: str) -> Any:
    if type(value) is not kind:
        raise DecodeError(f"{_named(where)} is {brief(value)}, not {_NAMES[kind]}")
    return value


def _check_range(number: float, bounds: Range, what: str) -> None:
    if not bounds.low <= number <= bounds.high:  # NaN is in no range
        raise DecodeError(f"{what} is {brief(number)}, outside {bounds.low:g} to {bounds.high:g}")


def _named(where: str) -> str:
    return where[-200:] or "it"
