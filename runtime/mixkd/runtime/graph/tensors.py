"""Tensors, numbers and names out of an ONNX file."""

import struct
from typing import Any

from mixkd.runtime.graph.model import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT8,
    INT32,
    INT64,
    KIND_BYTES,
    MAX_RANK,
    UINT8,
    Declared,
    Tensor,
)
from mixkd.runtime.graph.wire import BYTES, FIXED32, VARINT, Source, fields, signed, varint

MOST_LISTED = 1024
"""Numbers in a list, or inputs and outputs of a node or graph; more lie in one piece, or don't occur."""

_LETTERS = {FLOAT: "f", UINT8: "B", INT8: "b", INT32: "i", INT64: "q", BOOL: "?", DOUBLE: "d"}
_FORMS = {FLOAT: 4, UINT8: 5, INT8: 5, INT32: 5, INT64: 7, BOOL: 5, DOUBLE: 9}
_RAW = 9
_MOST_SMALL = 64
_LONGEST_PIECE = 10 * MOST_LISTED


def read_tensor(source: Source, start: int, end: int) -> Tensor:
    """Return a tensor whose numbers lie in the file, as many as its shape says.

    Raises:
        ValueError: If they don't.
    """
    name, kind, span, seen = "", 0, (-1, -1), set()
    dims: list[int] = []
    typed: list[Any] = []
    for number, wire, _, first, last in source.fields(start, end):
        if number in seen and number not in (1, 4, 5, 7):
            raise ValueError(f"field {number} of the tensor {name!r} stands twice")
        seen.add(number)
        if number == 1:
            dims += read_numbers(source, wire, first, last)
        elif number == 2 and wire == VARINT:
            kind = varint(source.read(first, last), 0)[0]
        elif number == 8 and wire == BYTES:
            name = read_text(source, first, last)
        elif number == _RAW and wire == BYTES:
            span = (first, last)
        elif number == 4:
            typed += _floats(source, wire, first, last)
        elif number in (5, 7):
            typed += read_numbers(source, wire, first, last)
        elif number in (13, 14):
            raise ValueError(
                f"the tensor {name!r} reads its numbers from another place: a graph holds its weights itself"
            )
        elif number not in (12, 16):  # a comment, notes
            raise ValueError(f"field {number} of the tensor {name!r} is unknown")
        if len(typed) > MOST_LISTED or len(dims) > MAX_RANK:
            raise ValueError(f"the tensor {name!r} has too many dimensions or single numbers")
    size = _count(name, kind, dims, seen, span[1] - span[0], len(typed))
    small = _small(source, kind, size, span, typed) if size <= _MOST_SMALL else None
    return Tensor(name, kind, tuple(dims), size, span, small)


def _count(name: str, kind: int, dims: list[int], seen: set[int], raw_bytes: int, listed: int) -> int:
    if kind not in KIND_BYTES:
        raise ValueError(f"the tensor {name!r} has the number format {kind}, which no export of mixkd writes")
    size = 1
    for dim in dims:
        if not 0 <= dim < 2**31:
            raise ValueError(f"the tensor {name!r} has a dimension of {dim}")
        size *= dim
    held = seen & {4, 5, 7, _RAW}
    found = raw_bytes / KIND_BYTES[kind] if held == {_RAW} else listed
    if len(held) > 1 or found != size or not held <= {_RAW, _FORMS[kind]}:
        raise ValueError(f"the tensor {name!r} holds {found:g} numbers where its shape says {size}")
    return size


def _small(source: Source, kind: int, size: int, span: tuple[int, int], typed: list[Any]) -> tuple[Any, ...]:
    form = f"<{size}{_LETTERS[kind]}"
    if span != (-1, -1):
        return struct.unpack(form, source.read(*span))
    struct.pack(form, *typed)  # none is out of range
    return tuple(typed)


def read_numbers(source: Source, wire: int, first: int, last: int) -> list[int]:
    """Return whole numbers, one or a packed list."""
    if wire == VARINT:
        return [signed(varint(source.read(first, last), 0)[0])]
    if wire != BYTES:
        raise ValueError("a list of numbers is none")
    data, at, found = read_piece(source, first, last), 0, []
    while at < len(data):
        value, at = varint(data, at)
        found.append(signed(value))
    return found


def _floats(source: Source, wire: int, first: int, last: int) -> list[float]:
    if wire not in (FIXED32, BYTES) or (last - first) % 4:
        raise ValueError("a list of floats is none")
    return list(struct.unpack(f"<{(last - first) // 4}f", read_piece(source, first, last)))


def read_piece(source: Source, first: int, last: int) -> bytes:
    """Return a short stretch.

    Raises:
        ValueError: If it isn't short.
    """
    if last - first > _LONGEST_PIECE:
        raise ValueError(f"a piece of {last - first} bytes where a few are usual")
    return source.read(first, last)


def read_text(source: Source, first: int, last: int) -> str:
    """Return a name."""
    return read_piece(source, first, last).decode()


def read_opset(data: bytes) -> tuple[str, int]:
    """Return a domain, and the version of its operators."""
    domain, version = "", 0
    for number, wire, _, first, last in fields(data, 0, len(data)):
        if number == 1 and wire == BYTES:
            domain = data[first:last].decode()
        elif number == 2 and wire == VARINT:
            version = signed(varint(data, first)[0])
        else:
            raise ValueError(f"field {number} of a version is unknown")
    return domain, version


def read_value_info(data: bytes) -> tuple[str, Declared]:
    """Return a value's name, and what is declared of it.

    Raises:
        ValueError: If it is no tensor.
    """
    name, declared = "", Declared(0, None)
    for number, wire, _, first, last in fields(data, 0, len(data)):
        if number == 1 and wire == BYTES and not name:
            name = data[first:last].decode()
        elif number == 2 and wire == BYTES and not declared.kind:
            declared = _tensor_type(data[first:last])
        elif number not in (3, 4):  # a comment, notes
            raise ValueError(f"field {number} of a value is unknown, or stands twice")
    if not name:
        raise ValueError("an input or output has no name")
    return name, declared


def _tensor_type(data: bytes) -> Declared:
    kind, dims, seen = 0, None, set()
    for number, wire, _, first, last in fields(data, 0, len(data)):
        if number == 6:  # what it means
            continue
        if number != 1 or wire != BYTES or 0 in seen:
            raise ValueError("a value is no tensor")
        seen.add(0)
        for inner, _, _, start, end in fields(data, first, last):
            if inner in seen:
                raise ValueError("a value is of two types")
            seen.add(inner)
            if inner == 1:
                kind = varint(data, start)[0]
            elif inner == 2:
                dims = tuple(_dim(data[at:to]) for _, _, _, at, to in fields(data, start, end))
    return Declared(kind, dims)


def _dim(data: bytes) -> int | None:
    """Return a declared size; None where it has a name or nothing."""
    for number, wire, _, first, _ in fields(data, 0, len(data)):
        if number == 1 and wire == VARINT:
            return signed(varint(data, first)[0])
    return None
