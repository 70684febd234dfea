"""Makes Reshape targets constant, and removes nodes that don't change a tensor.

::

    Shape → Gather → Unsqueeze ┐
                  [-1, 12, 32] ┴ Concat → Reshape         becomes         Reshape to [0, 0, 12, 32]

The tracer computes every target from run-time shapes, with several small nodes. 0 (copy the input's size) and
-1 (whatever remains) express the same as a constant, which later rewrites can read.
"""

import numpy as np
import onnx

from mixkd.export.graph.dims import PROBES, Dim, Dims, is_static
from mixkd.export.graph.graph import Graph, attribute

_BROADCASTING = frozenset({"Add", "And", "Div", "Mul", "Or", "Sub", "Where"})


def fix_shapes(graph: Graph, dims: Dims) -> int:
    """Make Reshape targets constant and remove nodes that don't change a tensor.

    Returns:
        The number of removed nodes.
    """
    before = len(graph.nodes)
    for node in graph.nodes:
        if node.op_type not in {"Reshape", "Expand", "Identity", "Dropout"} or node.output[0] not in dims:
            continue
        source, result = dims[node.input[0]], dims[node.output[0]]
        needless = source == result or (node.op_type == "Expand" and _broadcast_anyway(graph, node, dims))
        if needless and node.output[0] not in graph.outputs | graph.captured:
            graph.replace(node.output[0], node.input[0])
        elif node.op_type == "Reshape" and graph.constant(node.input[1]) is None:
            target = None if attribute(node, "allowzero", 0) else _target(source, result)
            if target is not None:
                node.input[1] = graph.add_constant(np.array(target, np.int64), f"{node.name}/shape")
    graph.tidy()
    return before - len(graph.nodes)


def _broadcast_anyway(graph: Graph, node: onnx.NodeProto, dims: Dims) -> bool:
    # Whether every reader of the expanded tensor would broadcast the original one to the same result.
    for reader, index in graph.readers[node.output[0]]:
        if reader.op_type == "Cast":
            if not _broadcast_anyway(graph, reader, dims):
                return False
        elif reader.op_type not in _BROADCASTING or any(name not in dims for name in reader.input):
            return False
        else:
            others = [dims[name] for i, name in enumerate(reader.input) if i != index]
            if max(map(len, others)) < len(dims[node.output[0]]) or _joined(others) != dims[reader.output[0]]:
                return False
    return True


def _joined(shapes: list[tuple[Dim, ...]]) -> tuple[Dim, ...]:
    rank = max(map(len, shapes))
    one = (1,) * len(PROBES)
    padded = [(one,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(column) for column in zip(*padded, strict=True))


def _target(source: tuple[Dim, ...], result: tuple[Dim, ...]) -> list[int] | None:
    target = [
        dim[0] if is_static(dim) else 0 if index < len(source) and source[index] == dim else -1
        for index, dim in enumerate(result)
    ]
    return target if target.count(-1) <= 1 else None
