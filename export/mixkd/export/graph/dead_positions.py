"""Dead-position elimination: a classifier that reads one token needs one token of its last layer.

::

    before (the numbers are lengths, T the text's)       after

    x (T) ─┬─ K, V (T) ─┐                                x (T) ─┬─ K, V (T) ───────────┐
           ├─ Q (T) ────┴─ attention (T) ─┐                     └─ Slice (1) ─┬─ Q (1) ┴─ attention (1) ─┐
           └────────────────────────── Add (T)                                └────────────────────── Add (1)
                                          │                                                              │
                LayerNormalization, feed-forward (T)                 LayerNormalization, feed-forward (1)
                                          │                                                              │
                               Gather of token 0                                        Gather of token 0

One pass from the outputs to the inputs. Every reader of a tensor wants either all of it or only index 0 of
one axis. A node all of whose readers want index 0 of the same axis, and whose operator treats positions one
by one, wants that index of its own inputs; its length on that axis becomes 1 and nothing else about it
changes. Where a tensor is wanted both ways, or its operator mixes positions, a Slice keeps index 0 for those
readers that want no more. Nothing is approximated: what is left computes the numbers it computed before.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx

from mixkd.export.graph.dims import Dims, follows_length
from mixkd.export.graph.graph import Graph, attribute
from mixkd.export.graph.positionwise import demanded_axes


@dataclass(frozen=True, slots=True)
class DeadPositions:
    """What the rewrite did.

    Attributes:
        narrowed: Nodes that now compute one position.
        slices: Places where position 0 is cut out.
    """

    narrowed: int
    slices: int


def drop_dead_positions(graph: Graph, dims: Dims) -> DeadPositions:
    """Let every node compute position 0 alone where no reader wants more.

    Args:
        graph: Rewritten in place; its Reshape targets must be constant (see `static_shapes`).
        dims: The dimensions of its tensors. They no longer hold afterwards.

    Returns:
        What was done: nothing for a classifier that pools all positions.
    """
    wanted: dict[str, list[_Use]] = defaultdict(list)
    narrowed = 0
    for node in reversed(graph.nodes):
        axis = _common_axis(node, graph, wanted)
        passed_on = None if axis is None else demanded_axes(node, axis, graph, dims)
        if axis is None or passed_on is None:
            start = _selected_axis(node, graph, dims)
            if start is not None:
                wanted[node.input[0]].append(_Use(node, 0, start, selects=True))
            passed_on = {}
        else:
            narrowed += 1
            wanted.pop(node.output[0])
            if node.op_type == "Reshape":
                _narrow_target(node, axis, graph)
            start = None
        for index, name in enumerate(node.input):
            if name and (index != 0 or start is None):
                wanted[name].append(_Use(node, index, passed_on.get(index)))
    slices = _insert_slices(graph, wanted)
    graph.tidy()
    return DeadPositions(narrowed=narrowed, slices=slices)


@dataclass(frozen=True, slots=True)
class _Use:
    # Input `index` of `node`: index 0 of `axis` is enough for it, or all is needed (None).
    node: onnx.NodeProto
    index: int
    axis: int | None
    selects: bool = False


def _common_axis(node: onnx.NodeProto, graph: Graph, wanted: dict[str, list[_Use]]) -> int | None:
    # The axis of which every reader wants index 0 only; None where one wants more.
    used = [name for name in node.output if name in wanted or name in graph.outputs]
    if used != [node.output[0]] or used[0] in graph.outputs | graph.captured:
        return None
    axes = {use.axis for use in wanted[used[0]]}
    return axes.pop() if len(axes) == 1 else None


def _selected_axis(node: onnx.NodeProto, graph: Graph, dims: Dims) -> int | None:
    # Where everything starts: Gather of the constant index 0 on the axis of the text's length.
    if node.op_type != "Gather" or len(dims.get(node.input[0], ())) < 2:
        return None
    index = graph.constant(node.input[1])
    axis = int(attribute(node, "axis", 0)) % len(dims[node.input[0]])
    at_zero = index is not None and index.size == 1 and index.item() == 0
    return axis if at_zero and follows_length(dims[node.input[0]][axis]) else None


def _narrow_target(node: onnx.NodeProto, axis: int, graph: Graph) -> None:
    target = graph.constant(node.input[1])
    if target is not None and target[axis] != 0:  # 0 copies the input's length, which is 1 by now
        shape = np.array(target)
        shape[axis] = 1
        node.input[1] = graph.add_constant(shape, f"{node.name}/shape")


def _insert_slices(graph: Graph, wanted: dict[str, list[_Use]]) -> int:
    # What is left in `wanted` are the tensors that stay whole.
    readers: dict[tuple[str, int], list[_Use]] = defaultdict(list)
    for name, uses in wanted.items():
        for use in uses:
            if use.axis is not None and not use.selects:
                readers[name, use.axis].append(use)
    for (name, axis), uses in readers.items():
        start, end = (graph.add_constant(np.array([i], np.int64), f"position/{i}") for i in (0, 1))
        axes = graph.add_constant(np.array([axis], np.int64), "position/axis")
        first = graph.add_node("Slice", [name, start, end, axes], f"{name}/first")
        for use in uses:
            use.node.input[use.index] = first
    return len(readers)
