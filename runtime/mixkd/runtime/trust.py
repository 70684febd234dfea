"""What an ONNX file holds, read from its bytes: the onnx package is not part of the runtime.

Only the few protobuf fields that say whether a graph may be trusted are looked at; the numbers in the tables
are the field numbers of onnx.proto.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from mixkd.errors import BundleError
from mixkd.runtime.bundle import Precision

Buffer: TypeAlias = mmap.mmap | bytes

KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operators that every build of onnxruntime brings itself."""

INTEGER_PRODUCTS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearMatMul",
        "QuantizeLinear",
    }
)
"""A graph with one of these multiplies int8 numbers (QuantizeLinear: in the form with Q and DQ nodes)."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 16
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_NODE_OP, _NODE_DOMAIN = 4, 7
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


@dataclass(slots=True)
class GraphFacts:
    """What counts for trust: the operators, and the files outside that are said to hold weights."""

    operators: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    external_files: set[str] = field(default_factory=set)


def check_graph(model: Path | bytes, *, precision: Precision | None = None) -> None:
    """Refuse an ONNX graph that could do more than compute: foreign operators, weights in other files.

    onnxruntime refuses unknown operators too, but some versions of it follow external data to any path, and
    to any address of the process's memory.

    Args:
        model: The ONNX file, or its content.
        precision: The number format that it must have; None takes any.

    Raises:
        BundleError: If the graph isn't well-formed, holds what no export of mixkd writes, or has another
            number format.
    """
    facts, name = read_graph(model), shown_name(model)
    foreign = facts.domains - KNOWN_DOMAINS
    if foreign:
        raise BundleError(f"{name} has custom operators ({min(foreign)}): this runtime loads no foreign code")
    if facts.external_files:
        raise BundleError(
            f"{name} reads weights from {min(facts.external_files)!r}: a graph holds its weights itself, "
            "export it again"
        )
    found = Precision.INT8 if facts.operators & INTEGER_PRODUCTS else Precision.FP32
    if precision is not None and found is not precision:
        raise BundleError(f"{name} is {found}, the manifest says {precision}: export the bundle again")


def read_graph(model: Path | bytes) -> GraphFacts:
    """Walk an ONNX graph without loading it.

    Raises:
        BundleError: If it isn't well-formed protobuf.
    """
    facts = GraphFacts()
    try:
        if isinstance(model, bytes):
            _Walk(model, facts).message(0, len(model), "model")
        else:
            with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _Walk(data, facts).message(0, len(data), "model")
    except (OSError, ValueError, IndexError) as error:
        raise BundleError(
            f"{shown_name(model)} is not an ONNX file ({error}): export the bundle again"
        ) from error
    return facts


def shown_name(model: Path | bytes) -> str:
    """Return what an error calls the graph."""
    return "the graph" if isinstance(model, bytes) else str(model)


@dataclass(slots=True)
class _Walk:
    """One pass over the messages of a file."""

    data: Buffer
    facts: GraphFacts

    def message(self, start: int, end: int, kind: str, depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("graphs within graphs without end")
        children = _CHILDREN.get(kind, {})
        entry: dict[int, str] = {}
        for number, _, first, last in fields(self.data, start, end):
            if number in children:
                self.message(first, last, children[number], depth + 1)
            elif kind == "node" and number == _NODE_OP:
                self.facts.operators.add(self._text(first, last))
            elif kind == "node" and number == _NODE_DOMAIN:
                self.facts.domains.add(self._text(first, last))
            elif kind == "entry":
                entry[number] = self._text(first, last)
        if entry.get(_ENTRY_KEY) == "location":
            self.facts.external_files.add(entry.get(_ENTRY_VALUE, ""))

    def _text(self, start: int, end: int) -> str:
        return self.data[start:end].decode("utf-8", "replace")


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of a message: its number, where it begins, and the span of its value."""
    at = start
    while at < end:
        begin = at
        key, at = _varint(data, at, end)
        wire = key & 7
        if wire == _VARINT:
            first, (_, at) = at, _varint(data, at, end)
        elif wire == _BYTES:
            size, first = _varint(data, at, end)
            at = first + size
        elif wire in (_FIXED32, _FIXED64):
            first, at = at, at + (4 if wire == _FIXED32 else 8)
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at > end:
            raise ValueError(f"cut off at byte {end}")
        yield key >> 3, begin, first, at


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError(f"a number without end at byte {at}")
