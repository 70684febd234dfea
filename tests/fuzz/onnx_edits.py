"""Changes of an ONNX graph, one at a time, by its structure."""

import random
from collections.abc import Callable

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from mixkd.runtime.graph.running import OPERATORS
from tests.fuzz.onnx_values import (
    ATTRIBUTES,
    DOMAINS,
    FLOATS,
    FOREIGN,
    LOCATIONS,
    NAMES,
    NUMBERS,
    OWN_FOREIGN,
    all_wires,
    any_node,
    any_tensor,
    odd_attribute,
)

Mutation = Callable[[ModelProto, random.Random], None]


def change_operator(model: ModelProto, chance: random.Random) -> None:
    node = any_node(model, chance)
    kind = chance.random()
    if kind < 0.5:
        node.op_type, node.domain = chance.choice(list(OPERATORS)), ""
    elif kind < 0.7:
        node.op_type, node.domain = chance.choice(OWN_FOREIGN), "com.microsoft"
    elif kind < 0.9:
        node.op_type = chance.choice(FOREIGN)
    else:
        node.domain = chance.choice(DOMAINS)


def change_attribute(model: ModelProto, chance: random.Random) -> None:
    node = any_node(model, chance)
    name = chance.choice(ATTRIBUTES + [a.name for a in node.attribute] * 10)
    kept = [a for a in node.attribute if a.name != name]
    if chance.random() < 0.9:
        kept.append(odd_attribute(name, chance))
    if chance.random() < 0.1:
        kept.append(odd_attribute(name, chance))
    del node.attribute[:]
    node.attribute.extend(kept)


def change_shape(model: ModelProto, chance: random.Random) -> None:
    tensor = any_tensor(model, chance)
    kind = chance.random()
    if kind < 0.3 and tensor.dims:
        tensor.dims[chance.randrange(len(tensor.dims))] = chance.choice(NUMBERS)
    elif kind < 0.5:
        tensor.dims.insert(chance.randrange(len(tensor.dims) + 1), chance.choice([0, 1, -1, 2, 2**31]))
    elif kind < 0.7 and len(tensor.dims) > 1:
        size = list(tensor.dims)
        chance.shuffle(size)
        del tensor.dims[:]
        tensor.dims.extend(size)
    elif kind < 0.8:
        product = int(np.prod(np.array(tensor.dims, object))) if tensor.dims else 1
        del tensor.dims[:]
        tensor.dims.extend(chance.choice([[product], [1, product], [product, 1], [1] * 7 + [product], []]))
    else:
        tensor.data_type = chance.choice([*range(24), 1, 2, 3, 6, 7, 9])


def change_numbers(model: ModelProto, chance: random.Random) -> None:
    tensor = any_tensor(model, chance)
    kind, content = chance.random(), bytearray(tensor.raw_data)
    if kind < 0.2 or not content:
        tensor.raw_data = bytes(content[: chance.randrange(len(content) + 1)]) + chance.choice(
            [b"", b"\0", b"\xff" * 8]
        )
    elif tensor.data_type == TensorProto.FLOAT:
        at = 4 * chance.randrange(len(content) // 4)
        content[at : at + 4] = np.float32(chance.choice(FLOATS)).tobytes()
        tensor.raw_data = bytes(content)
    elif tensor.data_type == TensorProto.INT64:
        at = 8 * chance.randrange(len(content) // 8)
        content[at : at + 8] = (
            np.int64(chance.choice(NUMBERS)).tobytes() if kind < 0.9 else chance.randbytes(8)
        )
        tensor.raw_data = bytes(content)
    else:
        for _ in range(chance.choice((1, 10))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        tensor.raw_data = bytes(content)


def move_numbers(model: ModelProto, chance: random.Random) -> None:
    """Say that a tensor's numbers lie elsewhere, or list them one by one."""
    tensor = any_tensor(model, chance)
    if chance.random() < 0.5:
        tensor.data_location = chance.choice([TensorProto.EXTERNAL, TensorProto.DEFAULT])
        entries = {
            "location": chance.choice(LOCATIONS),
            "offset": str(chance.choice(NUMBERS)),
            "length": "64",
        }
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
        if chance.random() < 0.5:
            tensor.ClearField("raw_data")
    else:
        listed = chance.choice([tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data])
        listed.extend([1] * chance.choice([1, 2, 100]))
        if chance.random() < 0.5:
            tensor.ClearField("raw_data")


def change_wires(model: ModelProto, chance: random.Random) -> None:
    node, graph = any_node(model, chance), model.graph
    kind = chance.random()
    wires = all_wires(graph)
    if kind < 0.5 and node.input:
        node.input[chance.randrange(len(node.input))] = chance.choice([*wires, ""])
    elif kind < 0.6:
        node.input.append(chance.choice([*wires, "", "absent"]))
    elif kind < 0.7 and node.input:
        del node.input[-1]
    elif kind < 0.8 and node.output:
        node.output[0] = chance.choice([*wires, *NAMES])
    elif kind < 0.9:
        node.output.append(chance.choice(["more", "", *wires]))
    elif node.output:
        node.input.append(node.output[0])


def add_nodes(model: ModelProto, chance: random.Random) -> None:
    """Put a node of a known operator into a wire that another node reads."""
    graph = model.graph
    for number in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(graph.node))
        before = [name for node in graph.node[:place] for name in node.output]
        wires = [*before, *(t.name for t in graph.initializer), *(v.name for v in graph.input)]
        small = [t.name for t in graph.initializer if np.prod(t.dims) < 10] or wires
        op = chance.choice(list(OPERATORS))
        reader = graph.node[place]
        first = reader.input[0] if reader.input and chance.random() < 0.7 else chance.choice(wires)
        others = [
            chance.choice(wires if chance.random() < 0.4 else small)
            for _ in range(chance.choice((0, 1, 1, 2)))
        ]
        made = helper.make_node(op, [first, *others], [f"made/{place}/{number}"])
        if chance.random() < 0.5:
            made.attribute.append(odd_attribute(chance.choice(sorted(OPERATORS[op][1]) or ["axis"]), chance))
        if reader.input:
            reader.input[chance.randrange(len(reader.input))] = made.output[0]
        graph.node.insert(place, made)


def add_constants(model: ModelProto, chance: random.Random) -> None:
    """Put in an operator that makes or repeats tensors by a constant of chance's choice."""
    graph = model.graph
    sizes = [chance.choice([0, 1, 2, 3, 16, 64, 1024, 2**16, 2**31, -1]) for _ in range(chance.randint(1, 4))]
    graph.initializer.append(helper.make_tensor("made/sizes", TensorProto.INT64, [len(sizes)], sizes))
    for index, size in enumerate(sizes[:3]):
        graph.initializer.append(helper.make_tensor(f"made/{index}", TensorProto.INT64, [], [size]))
    while len(sizes) < 3:
        graph.initializer.append(helper.make_tensor(f"made/{len(sizes)}", TensorProto.INT64, [], [1]))
        sizes.append(1)
    place = chance.randrange(len(graph.node))
    reader = graph.node[place]
    source = reader.input[0] if reader.input else graph.input[0].name
    made = chance.choice(
        [
            helper.make_node("ConstantOfShape", ["made/sizes"], ["made/one"]),
            helper.make_node("Expand", [source, "made/sizes"], ["made/one"]),
            helper.make_node("Tile", [source, "made/sizes"], ["made/one"]),
            helper.make_node("Reshape", [source, "made/sizes"], ["made/one"]),
            helper.make_node("Range", ["made/0", "made/1", "made/2"], ["made/one"]),
            helper.make_node("Gather", [source, "made/sizes"], ["made/one"]),
            helper.make_node("Div", ["made/sizes", "made/0"], ["made/one"]),
            helper.make_node("Slice", [source, "made/sizes", "made/sizes"], ["made/one"]),
            helper.make_node("Unsqueeze", [source, "made/sizes"], ["made/one"]),
            helper.make_node("CumSum", [source, "made/0"], ["made/one"]),
        ]
    )
    graph.node.insert(place, made)
    if reader.input and chance.random() < 0.8:
        reader.input[chance.randrange(len(reader.input))] = "made/one"


def remove_or_repeat(model: ModelProto, chance: random.Random) -> None:
    graph = model.graph
    place, kind = chance.randrange(len(graph.node)), chance.random()
    if kind < 0.4:
        del graph.node[place]
    elif kind < 0.6:
        graph.node.append(graph.node[place])
    elif kind < 0.8 and graph.initializer:
        del graph.initializer[chance.randrange(len(graph.initializer))]
    else:
        graph.node.insert(0, graph.node[place])


def change_ends(model: ModelProto, chance: random.Random) -> None:
    """Change what the graph says of its inputs and outputs, or of its wires."""
    graph = model.graph
    value = chance.choice([*graph.input, *graph.output])
    kind = chance.random()
    if kind < 0.3:
        value.type.tensor_type.elem_type = chance.randrange(24)
    elif kind < 0.5:
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_value = chance.choice(NUMBERS)
    elif kind < 0.6:
        value.type.tensor_type.shape.dim.add(dim_value=chance.choice(NUMBERS))
    elif kind < 0.7:
        value.name = chance.choice([*NAMES, *all_wires(graph)])
    elif kind < 0.8:
        chance.choice([graph.input, graph.output]).add(name=chance.choice([*NAMES, *all_wires(graph)]))
    elif kind < 0.9:
        dims: list[int | str | None] = [chance.choice(NUMBERS), chance.choice([1, 5, None])]
        graph.value_info.append(
            helper.make_tensor_value_info(chance.choice(all_wires(graph)), chance.randrange(1, 14), dims)
        )
    else:
        value.type.ClearField("value")


def add_what_no_export_has(model: ModelProto, chance: random.Random) -> None:
    graph = model.graph
    kind = chance.randrange(6)
    if kind == 0:
        body = [helper.make_node("Add", ["x", "x"], ["y"])]
        model.functions.append(
            helper.make_function("evil", "F", ["x"], ["y"], body, [helper.make_opsetid("", 18)])
        )
        model.opset_import.append(helper.make_opsetid("evil", 1))
        graph.node.insert(0, helper.make_node("F", [graph.node[0].output[0]], ["made"], domain="evil"))
    elif kind == 1:
        values = helper.make_tensor("sparse", TensorProto.FLOAT, [1], [1.0])
        indices = helper.make_tensor("places", TensorProto.INT64, [1], [chance.choice(NUMBERS)])
        graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10]))
    elif kind == 2:
        model.opset_import[0].version = chance.choice(NUMBERS)
    elif kind == 3:
        model.ir_version = chance.choice(NUMBERS)
    elif kind == 4:
        model.opset_import.add(
            domain=chance.choice(["", "ai.onnx.ml", "com.microsoft"]), version=chance.randrange(30)
        )
    else:
        model.training_info.add()


def wrap_in_branches(model: ModelProto, chance: random.Random) -> None:
    """Put a node into the branches of an `If`, whose condition chance chooses."""
    graph = model.graph
    place = chance.randrange(len(graph.node))
    node = graph.node[place]
    if not node.output:
        return
    branches = {}
    for name in ("then_branch", "else_branch"):
        inner = NodeProto()
        inner.CopyFrom(node)
        if chance.random() < 0.3 and inner.input:
            inner.input[0] = chance.choice(all_wires(graph))
        inner.output[0] = f"made/{name}"
        output = helper.make_tensor_value_info(inner.output[0], chance.choice((1, 1, 1, 7)), None)
        branches[name] = helper.make_graph([inner], name, [], [output])
    truth = helper.make_tensor("made/truth", TensorProto.BOOL, [], [chance.random() < 0.5])
    graph.initializer.append(truth)
    condition = "made/truth" if chance.random() < 0.8 else chance.choice(all_wires(graph))
    graph.node.insert(place, helper.make_node("If", [condition], [node.output[0]], **branches))
    del graph.node[place + 1]


MUTATIONS: list[Mutation] = [
    change_operator,
    change_attribute,
    change_shape,
    change_numbers,
    move_numbers,
    change_wires,
    add_nodes,
    add_nodes,
    add_nodes,
    add_constants,
    add_constants,
    remove_or_repeat,
    change_ends,
    add_what_no_export_has,
    wrap_in_branches,
]
