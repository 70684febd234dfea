"""Position embeddings as a slice of their table, instead of a look-up.

::

    Shape ─ Gather ─ Unsqueeze ─ Slice(0, 1, 2, ...) ─ Gather(table) ─ y

becomes ``Slice(table, 0, Shape[1:2])``, and the table keeps only the rows that the longest text needs.
"""

import numpy as np
import onnx

from mixkd.export.graph.dims import Dims, follows_length, is_static
from mixkd.export.graph.graph import Graph


def slice_positions(graph: Graph, dims: Dims, *, max_length: int) -> int:
    """Slice position tables whose rows are read in order, and drop the rows beyond the longest text.

    Args:
        graph: Rewritten in place.
        dims: The dimensions of its tensors before the rewrite; they are out of date afterwards.
        max_length: Tokens of the longest text.

    Returns:
        The number of tables that were rewritten.
    """
    done = 0
    for node in list(graph.nodes):
        length_of = _counts_positions(graph, node, dims)
        table = graph.constant(node.input[0]) if length_of else None
        if length_of is None or table is None or len(graph.readers[node.input[0]]) > 1:
            continue
        rows = graph.add_constant(np.ascontiguousarray(table[:max_length]), f"{node.input[0]}/reachable")
        length = graph.add_node("Shape", [length_of], f"{node.name}/length", start=1, end=2)
        start, axis = (
            graph.add_constant(np.array([0], np.int64), f"{node.name}/{n}") for n in ("start", "axis")
        )
        node.op_type = "Slice"
        node.input[:] = [rows, start, length, axis]
        del node.attribute[:]
        done += 1
    graph.tidy()
    return done


def _counts_positions(graph: Graph, node: onnx.NodeProto, dims: Dims) -> str | None:
    # The (B, T) tensor that gives the length, if the node is a Gather of the rows 0, 1, 2, ... up to it.
    if node.op_type != "Gather" or len(dims.get(node.input[0], ())) != 2:
        return None
    part = graph.producer.get(node.input[1])
    if part is None or part.op_type != "Slice" or graph.constant(part.input[0]) is None:
        return None
    numbers, start = graph.constant(part.input[0]), graph.constant(part.input[1])
    counted = graph.producer.get(part.input[2])
    while counted is not None and counted.op_type in {"Unsqueeze", "Gather"}:
        counted = graph.producer.get(counted.input[0])
    if numbers is None or start is None or counted is None or counted.op_type != "Shape":
        return None
    consecutive = np.array_equal(numbers.ravel(), np.arange(numbers.size)) and not start.any()
    shape = dims[node.output[0]]
    one_axis = len(shape) == 3 and set(shape[0]) == {1} and follows_length(shape[1]) and is_static(shape[2])
    source = counted.input[0]
    is_text = len(dims.get(source, ())) >= 2 and dims[source][1] == shape[1]
    return source if consecutive and one_axis and is_text else None
