"""Graphs whose operators are known, and whose numbers or shapes they can't take."""

from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from tests.fuzz.made_common import answer_through, floats, ints


def division(model: ModelProto, kind: int, first: int, second: int, op: str = "Div") -> None:
    """Whole numbers divided: by zero, or the least of them by -1, the processor stops the program."""
    a, b = ints(model, "a", [first], kind), ints(model, "b", [second], kind)
    answer_through(model, helper.make_node(op, [a, b], ["made"]))


def division_by_the_text(model: ModelProto, op: str = "Div") -> None:
    id_of_padding = ints(model, "same", [[0]])
    answer_through(
        model,
        helper.make_node("Sub", ["input_ids", "input_ids"], ["zeros"]),
        helper.make_node("Add", ["zeros", id_of_padding], ["zero"]),
        helper.make_node(op, ["input_ids", "zero"], ["made"]),
    )


def own_operator(model: ModelProto, op: str) -> None:
    """An operator of onnxruntime's own, with inputs that don't fit."""
    x = floats(model, "x", (1, 4, 8))
    odd = ints(model, "i", [2**30], TensorProto.INT32), ints(model, "j", 3, TensorProto.INT32)
    inputs = [x, x, x, "", "", *odd]
    node = helper.make_node(op, inputs, ["made"], domain="com.microsoft")
    for name, value in {
        "num_heads": 4,
        "kv_num_heads": 1,
        "K": 8,
        "N": 8,
        "bits": 4,
        "block_size": 32,
    }.items():
        node.attribute.append(helper.make_attribute(name, value))
    answer_through(model, node)


def attention(
    model: ModelProto,
    *,
    heads: int | None = None,
    mask: tuple[int, ...] | None = None,
    kind: int = TensorProto.INT32,
    key: tuple[int, ...] | None = None,
    bias: bool = False,
    past: bool = False,
) -> None:
    """The one attention that is allowed, with something about it that isn't."""
    nodes = _all_nodes(model.graph)
    node = next(n for n in nodes if n.op_type == "MultiHeadAttention" and len(n.input) > 4)
    if mask is not None:
        node.input[4] = ints(model, "mask", np.ones(mask), kind)
    if key is not None:
        node.input[1] = floats(model, "key", key)
    if bias:
        node.input[3] = floats(model, "bias", (3,))
    if past:
        node.input.extend(["", floats(model, "past", (1, 2, 2**20, 8))])
    for attribute in node.attribute:
        if attribute.name == "num_heads" and heads is not None:
            attribute.i = heads


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)


def empty_query(model: ModelProto) -> None:
    """No first position at all: older releases divide by its number, which stops the program."""
    for tensor in model.graph.initializer:
        if tensor.name == "position/0":
            tensor.raw_data = np.array([2**31 - 1], np.int64).tobytes()


def empty_for_short_texts(model: ModelProto) -> None:
    """The 40th position, which a short text doesn't have."""
    for tensor in model.graph.initializer:
        if tensor.name in {"position/0", "position/1"}:
            tensor.raw_data = np.array([40 + int(tensor.name[-1])], np.int64).tobytes()


def weight(model: ModelProto, value: float) -> None:
    """One weight that is no number."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.raw_data) > 8:
            tensor.raw_data = np.float32(value).tobytes() + tensor.raw_data[4:]
            return


def every_scale(model: ModelProto, value: float) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and "scale" in tensor.name:
            tensor.raw_data = np.float32(value).tobytes() * (len(tensor.raw_data) // 4)


def ids_out_of_range(model: ModelProto) -> None:
    answer_through(
        model,
        helper.make_node("Add", ["input_ids", ints(model, "far", [2**40])], ["far/ids"]),
        helper.make_node("Gather", [floats(model, "table", (10, 1)), "far/ids"], ["made"]),
    )
