"""An ONNX file as nodes and tensors; whatever no export of mixkd writes is an error.

The onnx package is not part of the runtime. The numbers are the field numbers of onnx.proto. A parser that
meets what it doesn't know skips it, and of a field that stands twice it takes the last: here both are errors,
so that no other reader of the file finds anything else in it than this one.
"""

import struct

from mixkd.runtime.graph.model import Graph, Node, Value
from mixkd.runtime.graph.tensors import (
    MOST_LISTED,
    read_numbers,
    read_opset,
    read_piece,
    read_tensor,
    read_text,
    read_value_info,
)
from mixkd.runtime.graph.wire import BYTES, FIXED32, VARINT, Source, fields, signed, varint

MAX_NODES = MAX_TENSORS = 20_000
"""Of one file; an encoder of 24 layers as it is traced has some 4,000 nodes."""

MAX_DEPTH = 2
"""Graphs within graphs: the branches around an attention have none themselves."""

_MAX_MESSAGE = 2**20
_NEVER = {20: "training graphs", 25: "local functions", 26: "devices", 15: "sparse initializers"}
_VALUES_OF = {11: "inputs", 12: "outputs", 13: "others"}
_VALUES = {(2, FIXED32), (3, VARINT), (4, BYTES), (5, BYTES), (6, BYTES)}
_KINDS = {2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 8: 7}
"""What an attribute says its kind is, by the field that holds its value."""


def read_model(source: Source) -> Graph:
    """Return the graph of a file.

    Raises:
        ValueError: If it isn't an ONNX file, or holds what no export of mixkd writes.
    """
    opsets: dict[str, int] = {}
    graph, version, seen = None, 0, set()
    for number, wire, _, first, last in source.fields(0, source.size):
        if number not in {8, 14} and number in seen:
            raise ValueError(f"field {number} of the model stands twice")
        seen.add(number)
        if number == 7 and wire == BYTES:
            graph = _Reader(source).graph(first, last, 0)
        elif number == 8 and wire == BYTES:
            domain, opset = read_opset(read_piece(source, first, last))
            if domain in opsets:
                raise ValueError(f"two versions of the operators {domain!r}")
            opsets[domain] = opset
        elif number == 1 and wire == VARINT:
            version = varint(source.read(first, last), 0)[0]
        elif number in (20, 25, 26):
            raise ValueError(f"it has {_NEVER[number]}, which no export of mixkd writes")
        elif number not in {2, 3, 4, 5, 6, 14}:
            raise ValueError(f"field {number} of the model is unknown")
    if graph is None or not opsets:
        raise ValueError("it has no graph")
    graph.opsets, graph.ir_version = opsets, version
    return graph


class _Reader:
    """One pass over a file; it counts what it finds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._nodes = self._tensors = 0

    def graph(self, start: int, end: int, depth: int) -> Graph:
        if depth > MAX_DEPTH:
            raise ValueError("graphs within graphs without end")
        graph, source = Graph(), self._source
        for number, wire, _, first, last in source.fields(start, end):
            if wire != BYTES:
                raise ValueError(f"field {number} of a graph is no text")
            if number == 1:
                self._nodes += 1
                graph.nodes.append(self._node(first, last, depth))
            elif number == 5:
                self._tensors += 1
                tensor = read_tensor(source, first, last)
                if tensor.name in graph.tensors or not tensor.name:
                    raise ValueError(f"two initializers have the name {tensor.name!r}")
                graph.tensors[tensor.name] = tensor
            elif number in _VALUES_OF:
                values = getattr(graph, _VALUES_OF[number])
                name, declared = read_value_info(read_piece(source, first, last))
                if name in values:
                    raise ValueError(f"two {_VALUES_OF[number]} have the name {name!r}")
                values[name] = declared
            elif number not in (2, 10, 16):  # name, comment, notes
                raise ValueError(
                    f"it has {_NEVER.get(number, f'a field {number} of a graph')}, "
                    "which no export of mixkd writes"
                )
            if self._nodes > MAX_NODES or self._tensors > MAX_TENSORS:
                raise ValueError(f"more than {MAX_NODES} nodes or tensors")
            if len(graph.inputs) > MOST_LISTED or max(len(graph.outputs), len(graph.others)) > MAX_NODES:
                raise ValueError("too many inputs or outputs")
        return graph

    def _node(self, start: int, end: int, depth: int) -> Node:
        # Only what holds graphs or tensors is large, and those lie in attributes: the rest is read at once.
        op, domain, name_of_node = "", "", ""
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: dict[str, Value] = {}
        data = self._source.read(start, end) if end - start <= _MAX_MESSAGE else None
        base = 0 if data is None else start
        found = self._source.fields(start, end) if data is None else fields(data, 0, end - start)
        count = 0
        for number, wire, _, first, last in found:
            count += 1
            if wire != BYTES or count > MOST_LISTED:
                raise ValueError(f"field {number} of a node is no text, or one too many")
            if number == 5:
                name, value = self._attribute(base + first, base + last, depth)
                if name in attributes:
                    raise ValueError(f"two attributes of {op} have the name {name!r}")
                attributes[name] = value
                continue
            if number in (6, 9):  # comment, notes
                continue
            text = read_text(self._source, first, last) if data is None else data[first:last].decode()
            if number == 1:
                inputs.append(text)
            elif number == 2:
                outputs.append(text)
            elif number == 4 and not op:
                op = text
            elif number == 3 and not name_of_node:
                name_of_node = text
            elif number == 7 and not domain:
                domain = text
            else:
                raise ValueError(f"field {number} of a node is unknown, or stands twice")
        return Node(op, domain, name_of_node, inputs, outputs, attributes)

    def _attribute(self, start: int, end: int, depth: int) -> tuple[str, Value]:
        name, kind = "", 0
        value: Value | None = None
        listed: list[int] = []
        held = 0
        for number, wire, _, first, last in self._source.fields(start, end):
            if number == 1 and wire == BYTES and not name:
                name = read_text(self._source, first, last)
            elif number == 20 and wire == VARINT and not kind:
                kind = varint(self._source.read(first, last), 0)[0]
            elif number == 8:
                listed += read_numbers(self._source, wire, first, last)
                held = 8
            elif (number, wire) in _VALUES and value is None:
                held = number
                value = self._value(number, first, last, depth)
            elif number != 13:  # a comment
                raise ValueError(f"field {number} of the attribute {name!r} is unknown, or stands twice")
            if len(listed) > MOST_LISTED:
                raise ValueError(f"the attribute {name!r} is too long")
        if held == 8 and value is None:
            value = tuple(listed)
        if value is None or _KINDS[held] != kind or not name:
            raise ValueError(f"the attribute {name!r} has no value of its kind")
        return name, value

    def _value(self, number: int, first: int, last: int, depth: int) -> Value:
        if number == 5:
            self._tensors += 1
            return read_tensor(self._source, first, last)
        if number == 6:
            return self.graph(first, last, depth + 1)
        content = read_piece(self._source, first, last)
        if number == 3:
            return signed(varint(content, 0)[0])
        if number == 2:
            number_found: float = struct.unpack("<f", content)[0]
            return number_found
        return content
