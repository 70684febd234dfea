"""What `mkd` prints: the only place that writes to standard output and standard error for a command.

Labels, file names, device names, reports and errors come from outside. Printed as they are, their control
characters could move the cursor or forge lines, so they are escaped in every line.
"""

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from numbers import Integral, Real
from typing import Any, TextIO

from mixkd.errors import OutputError

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 (line break, tab, ESC among them), DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides, isolates of direction
    "\u2028\u2029"  # line and paragraph separator
    "\ud800-\udfff]"  # lone surrogates, which UTF-8 can't hold
)


def visible(text: str) -> str:
    r"""Return the text with control characters, line breaks and lone surrogates escaped, such as ``\x1b``."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def say(*lines: str) -> None:
    """Print lines on standard output; a line break or a tab within one is escaped.

    Raises:
        OutputError: If standard output is closed or full.
        BrokenPipeError: If its reader has gone.
    """
    _print(*map(visible, lines))


def say_fields(*fields: str) -> None:
    """Print one line of fields with tabs between on standard output; errors as `say`."""
    _print("\t".join(map(visible, fields)))


def answer(values: object, *lines: str, as_json: bool) -> None:
    """Print a command's result on standard output: lines, or for machines one JSON object; errors as `say`.

    Args:
        values: The result for machines: a mapping, a dataclass or a list; a number that isn't finite is null.
        lines: The same for people.
        as_json: Print `values` instead of the lines.
    """
    if as_json:
        _print(json.dumps(_plain(values), allow_nan=False))
    else:
        say(*lines)


def warn(*lines: str) -> None:
    """Print lines on standard error, escaped as by `say`; where it is closed or full nobody is told."""
    stream = sys.stderr
    if stream is None:
        return
    try:
        _write(stream, map(visible, lines))
    except OSError:
        _discard(stream)


def _print(*lines: str) -> None:
    stream = sys.stdout
    if stream is None:
        raise OutputError("standard output is closed: the answer can't be written")
    try:
        _write(stream, lines)
    except BrokenPipeError:
        raise  # click ends the program without a word
    except OSError as error:
        _discard(stream)
        raise OutputError(f"standard output can't be written: {os.strerror(error.errno or 0)}") from error


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        try:
            stream.write(f"{line}\n")
        except UnicodeEncodeError:  # a locale of few characters
            stream.write(line.encode(stream.encoding, "backslashreplace").decode(stream.encoding) + "\n")
    stream.flush()


def _discard(stream: TextIO) -> None:
    # What stands in the buffer would fail once more when the interpreter ends, with a traceback.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _plain(value: Any) -> Any:
    """Return the value as JSON has it: objects, lists, strings, finite numbers, null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):  # NumPy's too
        return float(value) if math.isfinite(value) else None
    return str(value)
