"""Graphs that go on without end, or that make gigabytes out of a few bytes."""

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tests.fuzz.made_common import answer_through, floats, ints


def loop_without_end(model: ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go/on"]), helper.make_node("Add", ["x", "x"], ["x/on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("go/on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x/on", TensorProto.INT64, []),
        ],
    )
    times, truth = ints(model, "times", 2**62), ints(model, "truth", True, TensorProto.BOOL)
    one = ints(model, "one", 1)
    answer_through(model, helper.make_node("Loop", [times, truth, one], ["made"], body=body))


def scan(model: ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "x"], ["s/on"])],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.INT64, []) for name in ("s", "x")],
        [helper.make_tensor_value_info("s/on", TensorProto.INT64, [])],
    )
    inputs = [ints(model, "s0", 0), ints(model, "rows", [1, 2])]
    answer_through(model, helper.make_node("Scan", inputs, ["made"], body=body, num_scan_inputs=1))


def large(model: ModelProto, op: str, size: list[int]) -> None:
    """Make gigabytes out of a shape."""
    shape = ints(model, "shape", size)
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0])
    nodes = {
        "ConstantOfShape": helper.make_node("ConstantOfShape", [shape], ["made"], value=value),
        "Expand": helper.make_node("Expand", [floats(model, "one", (1,)), shape], ["made"]),
        "Tile": helper.make_node("Tile", [floats(model, "one", (1,) * len(size)), shape], ["made"]),
        "RandomNormal": helper.make_node("RandomNormal", [], ["made"], shape=size),
        "EyeLike": helper.make_node("EyeLike", [shape], ["made"]),
    }
    answer_through(model, nodes[op])


def large_range(model: ModelProto) -> None:
    ends = [ints(model, name, value) for name, value in (("start", 0), ("end", 2**33), ("step", 1))]
    answer_through(model, helper.make_node("Range", ends, ["made"]))


def large_range_of_tiny_steps(model: ModelProto) -> None:
    ends = [floats(model, name, (), value) for name, value in (("start", 0.0), ("end", 1.0), ("step", 1e-12))]
    answer_through(model, helper.make_node("Range", ends, ["made"]))


def computed_shape(model: ModelProto) -> None:
    """2^31 numbers of a shape that is multiplied up from small constants."""
    two = ints(model, "two", [2])
    nodes = [helper.make_node("Mul", [two, two], ["p0"])]
    nodes += [helper.make_node("Mul", [f"p{i}", two], [f"p{i + 1}"]) for i in range(29)]
    nodes += [helper.make_node("ConstantOfShape", ["p29"], ["made"])]
    answer_through(model, *nodes)


def shape_of_the_text(model: ModelProto) -> None:
    """As many numbers as the id of a token says, squared."""
    first = ints(model, "zero", [0])
    answer_through(
        model,
        helper.make_node("Reshape", ["input_ids", ints(model, "flat", [-1])], ["ids"]),
        helper.make_node("Gather", ["ids", first], ["id"]),
        helper.make_node("Mul", ["id", ints(model, "much", [2**28])], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["made"]),
    )


def shape_of_one_length(model: ModelProto) -> None:
    """2^31 numbers for texts of exactly 7 tokens."""
    answer_through(
        model,
        helper.make_node("Shape", ["input_ids"], ["length"], start=1),
        helper.make_node("Equal", ["length", ints(model, "seven", [7])], ["is"]),
        helper.make_node("Where", ["is", ints(model, "much", [2**31]), ints(model, "few", [1])], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["made"]),
    )


def falling_with_the_length(model: ModelProto) -> None:
    """Few numbers for the longest text, gigabytes for a short one."""
    answer_through(
        model,
        helper.make_node("Shape", ["input_ids"], ["length"], start=1),
        helper.make_node("Sub", [ints(model, "all", [48]), "length"], ["rest"]),
        helper.make_node("Mul", ["rest", ints(model, "much", [2**27])], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["made"]),
    )


def doubling(model: ModelProto) -> None:
    """A tensor put beside itself 34 times."""
    one = floats(model, "c0", (1,))
    nodes = [
        helper.make_node("Concat", [f"c{i}" if i else one] * 2, [f"c{i + 1}"], axis=0) for i in range(34)
    ]
    answer_through(model, *nodes, helper.make_node("Identity", ["c34"], ["made"]))


def outer_sum(model: ModelProto) -> None:
    """A column and a row of 50,000 numbers to 10 GB."""
    column, row = floats(model, "column", (50_000, 1)), floats(model, "row", (1, 50_000))
    answer_through(model, helper.make_node("Add", [column, row], ["made"]))


def outer_product(model: ModelProto) -> None:
    column, row = floats(model, "column", (50_000, 1)), floats(model, "row", (1, 50_000))
    answer_through(model, helper.make_node("MatMul", [column, row], ["made"]))


def powers_of_the_length(model: ModelProto) -> None:
    """Length by length by length by length numbers."""
    nodes = []
    for number in range(4):
        axes = ints(model, f"axes{number}", [axis for axis in range(4) if axis != number])
        nodes.append(helper.make_node("Unsqueeze", ["row", axes], [f"r{number}"]))
    flat = helper.make_node("Reshape", ["input_ids", ints(model, "flat", [-1])], ["row"])
    sums = [helper.make_node("Add", ["r0", "r1"], ["s1"]), helper.make_node("Add", ["s1", "r2"], ["s2"])]
    answer_through(model, flat, *nodes, *sums, helper.make_node("Add", ["s2", "r3"], ["made"]))


def rows_without_end(model: ModelProto) -> None:
    """Rows of 1,000 numbers, each picked 10,000,000 times."""
    wide = floats(model, "wide", (10, 100_000))
    picked = ints(model, "picked", np.zeros(100_000, np.int64))
    answer_through(model, helper.make_node("Gather", [wide, picked], ["made"]))


def many_products(model: ModelProto) -> None:
    """Hours of products of a matrix with itself."""
    square = floats(model, "m0", (2000, 2000), 0.0)
    nodes = [helper.make_node("MatMul", [f"m{i}" if i else square] * 2, [f"m{i + 1}"]) for i in range(2000)]
    answer_through(model, *nodes, helper.make_node("Identity", ["m2000"], ["made"]))


def many_nodes(model: ModelProto) -> None:
    one = ints(model, "n0", [1])
    nodes = [helper.make_node("Neg", [f"n{i}" if i else one], [f"n{i + 1}"]) for i in range(30_000)]
    answer_through(model, *nodes, helper.make_node("Identity", ["n30000"], ["made"]))


def declared(model: ModelProto, dims: tuple[int, int]) -> None:
    """Inputs of a size that no text has, of which onnxruntime makes constants when it loads."""
    for size, dim in zip(dims, model.graph.input[1].type.tensor_type.shape.dim, strict=True):
        dim.dim_value = size
    answer_through(
        model,
        helper.make_node("Shape", ["attention_mask"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["made"]),
    )


def declared_between(model: ModelProto) -> None:
    wire = model.graph.node[0].output[0]
    model.graph.value_info.append(helper.make_tensor_value_info(wire, TensorProto.INT32, [2**31, 2**31]))
