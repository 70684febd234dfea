"""Protobuf's wire format: fields of a file that is read in pieces, and fields to write."""

import os
from collections.abc import Iterator
from typing import TypeAlias

Field: TypeAlias = tuple[int, int, int, int, int]
"""Number, wire type, where the field begins, and the span of its value."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_BLOCK = 8192
_MOST_FIELDS = 2**20
"""Of one file: an encoder of 24 layers as it is traced has some 60,000, and each takes a microsecond."""

_LONGEST_HEAD = 20
"""The most bytes of a key and a length, 10 each."""


class Source:
    """The bytes of an ONNX file, in memory or behind a descriptor.

    A descriptor is read in small pieces and not mapped: the weights stay where they are, and a file that is
    cut short meanwhile is an error and no signal.

    Attributes:
        size: How many bytes there are.
    """

    __slots__ = ("_block", "_descriptor", "_left", "_start", "size")

    def __init__(self, content: bytes | None = None, *, descriptor: int = -1, size: int = 0) -> None:
        """Take the content itself, or the descriptor of a file and its size."""
        self._block = content if content is not None else b""
        self._descriptor = descriptor
        self._start, self._left = 0, _MOST_FIELDS
        self.size = size if content is None else len(content)

    def read(self, start: int, end: int) -> bytes:
        """Return a stretch.

        Raises:
            ValueError: If the file has become shorter.
        """
        first = start - self._start
        if first >= 0 and end - self._start <= len(self._block):
            return self._block[first : end - self._start]
        found = _read_at(self._descriptor, end - start, start) if self._descriptor >= 0 else b""
        if len(found) != end - start:
            raise ValueError(f"cut off at byte {start + len(found)}")
        return found

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """Yield each field of a message, reading no more of long values than their length.

        Raises:
            ValueError: If it isn't well-formed.
        """
        at = start
        while at < end:
            head = self._at(at, min(end, at + _LONGEST_HEAD))
            base = self._start
            for number, wire, begin, first, last in fields(head, at - base, end - base):
                at = base + last
                self._left -= 1
                if self._left < 0:
                    raise ValueError(f"more than {_MOST_FIELDS} fields")
                yield number, wire, base + begin, base + first, at
                if at + _LONGEST_HEAD > base + len(head):
                    break  # the next one may reach beyond the block

    def _at(self, start: int, end: int) -> bytes:
        """Return the block that holds a stretch; it begins at `_start`."""
        if not (self._start <= start and end <= self._start + len(self._block)):
            self._block, self._start = self.read(start, min(self.size, max(end, start + _BLOCK))), start
        return self._block


def _read_at(descriptor: int, size: int, start: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, start)
    os.lseek(descriptor, start, os.SEEK_SET)  # Windows
    return os.read(descriptor, size)


def fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield each field of a message; the value of the last one may reach beyond `data`.

    Raises:
        ValueError: If it isn't well-formed.
    """
    at = start
    try:
        while at < end:
            begin = at
            key = data[at]
            at += 1
            if key > 127:
                key, at = varint(data, begin)
            wire = key & 7
            if wire == BYTES:
                size = data[at]
                at += 1
                if size > 127:
                    size, at = varint(data, at - 1)
                first, at = at, at + size
            elif wire == VARINT:
                first = at
                at += 1
                if data[first] > 127:
                    _, at = varint(data, first)
            elif wire in (FIXED32, FIXED64):
                first, at = at, at + (4 if wire == FIXED32 else 8)
            else:
                raise ValueError(f"wire type {wire} at byte {begin}")
            if at > end:
                raise ValueError(f"cut off at byte {end}")
            yield key >> 3, wire, begin, first, at
    except IndexError as error:
        raise ValueError(f"cut off at byte {len(data)}") from error


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the whole number that begins at a byte, from 0 to 2^64 - 1, and where the next field begins."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> 64:
                break
            return value, at
        shift += 7
    raise ValueError(f"a number without end at byte {at}")


def signed(value: int) -> int:
    """Return the number that 64 bits mean."""
    return value - (1 << 64) if value >> 63 else value


def message(number: int, content: bytes) -> bytes:
    """Return a field that holds a message, a string or bytes."""
    return encoded(number << 3 | BYTES) + encoded(len(content)) + content


def encoded(value: int) -> bytes:
    """Return a whole number from 0 on as a varint."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
