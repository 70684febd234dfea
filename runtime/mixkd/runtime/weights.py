"""Weights left in the file: an ONNX graph without them, whose initializers point back into the file."""

import mmap
from pathlib import Path

from mixkd.runtime.trust import Buffer, fields

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_EXTERNAL = 1
SMALLEST_BYTES = 65536
"""Only the tables and matrices are left behind: onnxruntime's fusions want biases and scales at hand."""


def without_weights(model: Path) -> bytes:
    """Return the model in a file, its larger weights declared as external data that lie in this same file.

    onnxruntime maps external data, and reads a page when it is needed; the weights of an ordinary model it
    copies.
    """
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return b"".join(
            message(_MODEL_GRAPH, _graph(data, first, last, model.name))
            if number == _MODEL_GRAPH
            else data[begin:last]
            for number, begin, first, last in fields(data, 0, len(data))
        )


def _graph(data: Buffer, start: int, end: int, location: str) -> bytes:
    return b"".join(
        message(_GRAPH_INITIALIZER, _tensor(data, first, last, location))
        if number == _GRAPH_INITIALIZER
        else data[begin:last]
        for number, begin, first, last in fields(data, start, end)
    )


def _tensor(data: Buffer, start: int, end: int, location: str) -> bytes:
    kept = []
    for number, begin, first, last in fields(data, start, end):
        if number == _RAW_DATA and last - first >= SMALLEST_BYTES:
            for key, value in (("location", location), ("offset", str(first)), ("length", str(last - first))):
                entry = message(1, key.encode()) + message(2, value.encode())
                kept.append(message(_EXTERNAL_DATA, entry))
            kept.append(_varint(_DATA_LOCATION << 3) + _varint(_EXTERNAL))
        else:
            kept.append(data[begin:last])
    return b"".join(kept)


def message(number: int, content: bytes) -> bytes:
    """Return a protobuf field that holds a message, a string or bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
