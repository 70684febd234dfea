"""What the graphs made by hand are put together from."""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def ints(model: ModelProto, name: str, values: object, kind: int = TensorProto.INT64) -> str:
    """Add whole numbers as an initializer and return its name."""
    array = np.array(values, helper.tensor_dtype_to_np_dtype(kind))
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def floats(model: ModelProto, name: str, shape: tuple[int, ...], value: float = 1.0) -> str:
    """Add floats that are all the same, and return the initializer's name."""
    model.graph.initializer.append(numpy_helper.from_array(np.full(shape, value, np.float32), name))
    return name


def answer_through(model: ModelProto, *nodes: NodeProto) -> None:
    """Compute nodes, the last of which gives `made`, and add one number of it to the logits."""
    graph = model.graph
    index = next(i for i, node in enumerate(graph.node) if "logits" in node.output)
    graph.node[index].output[0] = "clean"
    flat = [
        helper.make_node("Cast", ["made"], ["made/float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["made/float"], ["made/one"], keepdims=0),
        helper.make_node("Add", ["clean", "made/one"], ["logits"]),
    ]
    for number, node in enumerate([*nodes, *flat]):
        graph.node.insert(index + 1 + number, node)
