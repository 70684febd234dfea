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

One pass from the outputs to the inputs. Every reader of a tensor needs either all of it or only index 0 of
one axis. If all readers of a node's output need index 0 of the same axis, and its operator treats positions
independently, the node needs only that index of its inputs; its length on that axis becomes 1. Where some
readers need more, or the operator mixes positions, a Slice gives index 0 to the readers that need no more.
This is exact: the remaining positions are computed as before.
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
        slices: Slice nodes that were added.
    """

    narrowed: int
    slices: int


def drop_dead_positions(graph: Graph, dims: Dims) -> DeadPositions:
    """Let every node compute position 0 alone where no reader needs more.

    Args:
        graph: Rewritten in place; its Reshape targets must be constant (see `static_shapes`).
        dims: The dimensions of its tensors before the rewrite; they are out of date afterwards.

    Returns:
        What was done: nothing for a classifier that pools all positions.
    """
    wanted: dict[str, list[_Use]] = defaultdict(list)
    narrowed = 0
    for node in reversed(graph.nodes):
        axis, selected = _common_axis(node, graph, wanted), None
        needs = None if axis is None else demanded_axes(node, axis, graph, dims)
        if axis is not None and needs is not None:
            narrowed += 1
            del wanted[node.output[0]]
            _narrow_target(node, axis, graph)
        else:
            selected = _selected_axis(node, graph, dims)
            needs = {} if selected is None else {0: selected}
        for index, name in enumerate(node.input):
            if name:
                selects = selected is not None and index == 0
                wanted[name].append(_Use(node, index, needs.get(index), selects=selects))
    slices = _insert_slices(graph, wanted)
    graph.tidy()
    return DeadPositions(narrowed=narrowed, slices=slices)


@dataclass(frozen=True, slots=True)
class _Use:
    # Input `index` of `node` needs only index 0 of `axis`, or everything (None). `selects`: the node takes
    # index 0 itself, so that no Slice is needed before it.
    node: onnx.NodeProto
    index: int
    axis: int | None
    selects: bool = False


def _common_axis(node: onnx.NodeProto, graph: Graph, wanted: dict[str, list[_Use]]) -> int | None:
    # The axis of which every reader needs index 0 only; None where one needs more.
    used = [name for name in node.output if name in wanted or name in graph.outputs]
    if used != [node.output[0]] or used[0] in graph.outputs | graph.captured:
        return None
    axes = {use.axis for use in wanted[used[0]]}
    return axes.pop() if len(axes) == 1 else None


def _selected_axis(node: onnx.NodeProto, graph: Graph, dims: Dims) -> int | None:
    # The axis of a Gather that selects position 0, where the pass starts: constant index 0, length axis.
    if node.op_type != "Gather" or len(dims.get(node.input[0], ())) < 2:
        return None
    index = graph.constant(node.input[1])
    axis = int(attribute(node, "axis", 0)) % len(dims[node.input[0]])
    at_zero = index is not None and index.size == 1 and index.item() == 0
    return axis if at_zero and follows_length(dims[node.input[0]][axis]) else None


def _narrow_target(node: onnx.NodeProto, axis: int, graph: Graph) -> None:
    target = graph.constant(node.input[1]) if node.op_type == "Reshape" else None
    if target is not None and target[axis] != 0:  # 0 copies the input's length, which is 1 by now
        shape = np.array(target)
        shape[axis] = 1
        node.input[1] = graph.add_constant(shape, f"{node.name}/shape")


def _insert_slices(graph: Graph, wanted: dict[str, list[_Use]]) -> int:
    # The tensors that are left in `wanted` are still computed at all positions.
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
