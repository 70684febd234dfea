"""Probabilities as a second output, so that no app needs its own softmax.

::

    before   head ── logits
    after    head ─┬─ logits
                   └─ Softmax or Sigmoid ── probabilities
"""

from onnx import ModelProto, TensorProto, helper

from mixkd.runtime.manifest import LOGITS, PROBABILITIES
from mixkd.task import Task


def add_probabilities(model: ModelProto, task: Task) -> None:
    """Add the output ``probabilities``, (B, C), to a graph in place; a regression gets none.

    Args:
        model: A graph with the output ``logits``, (B, C).
        task: Softmax for a single label, sigmoid for several.
    """
    if task is Task.REGRESSION:
        return
    if task is Task.SINGLE_LABEL:
        node = helper.make_node("Softmax", [LOGITS], [PROBABILITIES], PROBABILITIES, axis=-1)
    else:
        node = helper.make_node("Sigmoid", [LOGITS], [PROBABILITIES], PROBABILITIES)
    model.graph.node.append(node)
    (logits,) = (value for value in model.graph.output if value.name == LOGITS)
    shape = [dim.dim_param or dim.dim_value or None for dim in logits.type.tensor_type.shape.dim]
    model.graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, shape))
