"""Weights left in the file: an ONNX graph without them, whose initializers point back into the file."""

from mixkd.runtime.files import OpenFile
from mixkd.runtime.graph.wire import Source, encoded, message

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_EXTERNAL = 1
SMALLEST_BYTES = 65536
"""Only the tables and matrices are left behind: onnxruntime's fusions want biases and scales at hand."""


def without_weights(model: OpenFile) -> bytes:
    """Return the model in a file, its larger weights declared as external data that lie in this same file.

    onnxruntime maps external data, and reads a page when it is needed; the weights of an ordinary model it
    copies. The file was checked to have no external data of its own: all there is was written here.
    """
    source = Source(descriptor=model.fileno(), size=model.size)
    return b"".join(
        message(_MODEL_GRAPH, _graph(source, first, last, model.path.name))
        if number == _MODEL_GRAPH
        else source.read(begin, last)
        for number, _, begin, first, last in source.fields(0, source.size)
    )


def _graph(source: Source, start: int, end: int, location: str) -> bytes:
    return b"".join(
        message(_GRAPH_INITIALIZER, _tensor(source, first, last, location))
        if number == _GRAPH_INITIALIZER
        else source.read(begin, last)
        for number, _, begin, first, last in source.fields(start, end)
    )


def _tensor(source: Source, start: int, end: int, location: str) -> bytes:
    kept = []
    for number, _, begin, first, last in source.fields(start, end):
        if number == _RAW_DATA and last - first >= SMALLEST_BYTES:
            for key, value in (("location", location), ("offset", str(first)), ("length", str(last - first))):
                entry = message(1, key.encode()) + message(2, value.encode())
                kept.append(message(_EXTERNAL_DATA, entry))
            kept.append(encoded(_DATA_LOCATION << 3) + encoded(_EXTERNAL))
        else:
            kept.append(source.read(begin, last))
    return b"".join(kept)
