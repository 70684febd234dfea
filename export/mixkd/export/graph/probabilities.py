"""The end of a graph: a temperature on the logits, and probabilities, so that no app needs its own softmax.

::

    before   head ── logits
    after    head ── Mul by inverse_temperature ─┬─ logits
                                                 └─ Softmax ── probabilities

The temperature is 1 until `mkd calibrate` changes that one number of the file. It acts on both outputs: some
programs, such as transformers.js, take the logits and have a softmax of their own. For several labels the end
is a Sigmoid, without a temperature.
"""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mixkd.runtime.manifest import LOGITS, PROBABILITIES
from mixkd.runtime.temperature import INVERSE_TEMPERATURE
from mixkd.task import Task

BEFORE_TEMPERATURE = "logits_before_temperature"
"""What the classifier's last layer gives where there is a temperature."""


def add_probabilities(model: ModelProto, task: Task) -> None:
    """Add the output ``probabilities``, (B, C), to a graph in place; a regression gets none.

    Args:
        model: A graph with the output ``logits``, (B, C).
        task: Temperature and softmax for a single label, sigmoid for several.
    """
    if task is Task.REGRESSION:
        return
    if task is Task.SINGLE_LABEL:
        _add_temperature(model)
        node = helper.make_node("Softmax", [LOGITS], [PROBABILITIES], PROBABILITIES, axis=-1)
    else:
        node = helper.make_node("Sigmoid", [LOGITS], [PROBABILITIES], PROBABILITIES)
    model.graph.node.append(node)
    (logits,) = (value for value in model.graph.output if value.name == LOGITS)
    shape = [dim.dim_param or dim.dim_value or None for dim in logits.type.tensor_type.shape.dim]
    model.graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, shape))


def _add_temperature(model: ModelProto) -> None:
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == LOGITS:
                node.output[place] = BEFORE_TEMPERATURE
    one = numpy_helper.from_array(np.ones(1, np.float32), INVERSE_TEMPERATURE)
    model.graph.initializer.append(one)
    inputs = [BEFORE_TEMPERATURE, INVERSE_TEMPERATURE]
    model.graph.node.append(helper.make_node("Mul", inputs, [LOGITS], "temperature"))
