"""A graph as nodes and tensors, as far as its trust hangs on them."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

FLOAT, UINT8, INT8, INT32, INT64, BOOL, DOUBLE = 1, 2, 3, 6, 7, 9, 11
KIND_NAMES = {
    FLOAT: "float32",
    UINT8: "uint8",
    INT8: "int8",
    INT32: "int32",
    INT64: "int64",
    BOOL: "bool",
    DOUBLE: "float64",
}
"""The number formats that a tensor may have, as onnx.proto counts them."""

KIND_BYTES = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, BOOL: 1, DOUBLE: 8}

MAX_RANK = 8

Value: TypeAlias = "int | float | bytes | tuple[int, ...] | Tensor | Graph"
"""An attribute's value."""


class Declared(NamedTuple):
    """What a graph says of one of its values; nothing makes it true.

    Attributes:
        kind: The number format; 0 where none is told.
        dims: The sizes, None for each that has only a name; None where no shape is told.
    """

    kind: int
    dims: tuple[int | None, ...] | None


class Tensor:
    """Constant numbers: an initializer, or the value of an attribute.

    Attributes:
        name: Its name; empty in an attribute.
        kind: Its number format.
        dims: Its shape.
        count: How many numbers.
        span: Where they lie in the file, first and last; (-1, -1) where they don't lie there in one piece.
        small: The numbers themselves, where there are few.
    """

    __slots__ = ("count", "dims", "kind", "name", "small", "span")

    def __init__(
        self,
        name: str,
        kind: int,
        dims: tuple[int, ...],
        count: int,
        span: tuple[int, int],
        small: tuple[Any, ...] | None,
    ) -> None:
        self.name, self.kind, self.dims, self.count = name, kind, dims, count
        self.span, self.small = span, small

    @property
    def size_bytes(self) -> int:
        """How many bytes the numbers take."""
        return self.count * KIND_BYTES[self.kind]


class Node:
    """One operator with its inputs, outputs and attributes."""

    __slots__ = ("attributes", "domain", "inputs", "name", "op", "outputs")

    def __init__(
        self,
        op: str,
        domain: str,
        name: str,
        inputs: list[str],
        outputs: list[str],
        attributes: dict[str, Value],
    ) -> None:
        self.op, self.domain, self.name = op, domain, name
        self.inputs, self.outputs, self.attributes = inputs, outputs, attributes


class Graph:
    """Nodes in their order, and what they start from.

    Attributes:
        nodes: The nodes.
        tensors: The initializers.
        inputs: What is declared of each.
        outputs: What is declared of each.
        others: What is declared of values in between.
        opsets: Versions by domain; empty for a branch.
        ir_version: The format's version; 0 for a branch.
    """

    __slots__ = ("inputs", "ir_version", "nodes", "opsets", "others", "outputs", "tensors")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.inputs: dict[str, Declared] = {}
        self.outputs: dict[str, Declared] = {}
        self.others: dict[str, Declared] = {}
        self.opsets: dict[str, int] = {}
        self.ir_version = 0

    def all_nodes(self) -> Iterator[Node]:
        """Yield every node, those of branches too."""
        for node in self.nodes:
            yield node
            for value in node.attributes.values():
                if isinstance(value, Graph):
                    yield from value.all_nodes()
