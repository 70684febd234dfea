"""Which operators treat positions independently, and what they need of their inputs for one position."""

from collections.abc import Callable
from math import prod

import onnx

from mixkd.export.graph.dims import PROBES, Dim, Dims
from mixkd.export.graph.graph import Graph, attribute

Axes = dict[int, int | None]
"""Input number to the axis of which only index 0 is needed; an input that isn't listed is needed whole."""

# fmt: off
_ELEMENTWISE = frozenset({
    "Abs", "Add", "And", "Cast", "Clip", "Cos", "Div", "Equal", "Erf", "Exp", "FastGelu", "Gelu",
    "Greater", "GreaterOrEqual", "Identity", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mul",
    "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Sigmoid", "Sign", "Sin", "Softplus", "Sqrt", "Sub",
    "Tanh", "Where", "Xor",
})
# fmt: on


def demanded_axes(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    """Return what a node needs of its inputs to compute index 0 of an axis of its output.

    Returns:
        The axes; None if the operator mixes positions along the axis or isn't known here.
    """
    if any(name and name not in dims for name in (*node.input, node.output[0])):
        return None
    if node.op_type in _ELEMENTWISE:
        return _broadcast(node, range(len(node.input)), axis, dims)
    rule = _RULES.get(node.op_type)
    return rule(node, axis, graph, dims) if rule else None


def _broadcast(node: onnx.NodeProto, inputs: range, axis: int, dims: Dims) -> Axes:
    rank = len(dims[node.output[0]])
    axes: Axes = {}
    for index in inputs:
        own = dims[node.input[index]]
        own_axis = axis - (rank - len(own))
        if own_axis >= 0 and set(own[own_axis]) != {1}:
            axes[index] = own_axis
    return axes


def _matmul(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    rank = len(dims[node.output[0]])
    left, right = (len(dims[name]) for name in node.input)
    if left < 2 or right < 2:
        return None
    if axis == rank - 2:
        return {0: left - 2}
    if axis == rank - 1:
        return {1: right - 1}
    return _broadcast(node, range(2), axis, dims)


def _along_other_axis(default: int) -> Callable[[onnx.NodeProto, int, Graph, Dims], Axes | None]:
    # Softmax and Concat work along one axis; along any other axis positions are independent.
    def rule(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
        own = attribute(node, "axis", default) % len(dims[node.output[0]])
        return None if own == axis else dict.fromkeys(range(len(node.input)), axis)

    return rule


def _layer_normalization(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    own = attribute(node, "axis", -1) % len(dims[node.input[0]])
    return {0: axis} if axis < own else None


def _transpose(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    rank = len(dims[node.output[0]])
    return {0: attribute(node, "perm", list(reversed(range(rank))))[axis]}


def _slice(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    own = graph.constant(node.input[3]) if len(node.input) > 3 else None
    rank = len(dims[node.output[0]])
    if own is None or axis in {int(a) % rank for a in own}:
        return None
    return {0: axis}


def _gather(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    own = attribute(node, "axis", 0) % len(dims[node.input[0]])
    width = len(dims[node.input[1]])
    if axis < own:
        return {0: axis}
    return {1: axis - own} if axis < own + width else {0: axis - width + 1}


def _gather_elements(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    own = attribute(node, "axis", 0) % len(dims[node.input[0]])
    return {1: axis} if axis == own else {0: axis, 1: axis}


def _unsqueeze(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    added = graph.constant(node.input[1])
    rank = len(dims[node.output[0]])
    if added is None or axis in {int(a) % rank for a in added}:
        return None
    return {0: axis - sum(int(a) % rank < axis for a in added)}


def _squeeze(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    removed = graph.constant(node.input[1]) if len(node.input) > 1 else None
    if removed is None:
        return None
    rank = len(dims[node.input[0]])
    kept = [a for a in range(rank) if a not in {int(r) % rank for r in removed}]
    return {0: kept[axis]}


def _reshape(node: onnx.NodeProto, axis: int, graph: Graph, dims: Dims) -> Axes | None:
    # The output's axis is an axis of the input if both have the same size and equal dimensions before them.
    target = graph.constant(node.input[1])
    before, after = dims[node.input[0]], dims[node.output[0]]
    if target is None or attribute(node, "allowzero", 0):
        return None
    for own in range(len(before)):
        if before[own] == after[axis] and _size(before[:own]) == _size(after[:axis]):
            copies = {i for i, length in enumerate(target) if length == 0}
            return {0: own} if own == axis or not copies & {own, axis} else None
    return None


def _size(dims: tuple[Dim, ...]) -> Dim:
    return tuple(prod(sizes) for sizes in zip(*dims, strict=True)) if dims else (1,) * len(PROBES)


_RULES: dict[str, Callable[[onnx.NodeProto, int, Graph, Dims], Axes | None]] = {
    "Concat": _along_other_axis(0),
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": _along_other_axis(-1),
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
