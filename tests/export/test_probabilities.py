import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mixkd.export.graph.probabilities import add_probabilities
from mixkd.export.sessions import session_of
from mixkd.task import Task

LOGITS = np.array([[1.0, 3.0, -2.0], [0.0, 0.0, 5.0], [1e4, -1e4, 0.0]], np.float32)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -700, 700)))


def head() -> onnx.ModelProto:
    """Return a graph whose logits are what it is given."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("given", "logits")
    ]
    nodes = [helper.make_node("Identity", ["given"], ["logits"])]
    graph = helper.make_graph(nodes, "head", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(("task", "expected"), [(Task.SINGLE_LABEL, softmax), (Task.MULTI_LABEL, sigmoid)])
def test_probabilities_are_those_of_float64(task: Task, expected: object) -> None:
    model = head()
    add_probabilities(model, task)
    onnx.checker.check_model(model, full_check=True)
    logits, probabilities = session_of(model).run(["logits", "probabilities"], {"given": LOGITS})
    np.testing.assert_array_equal(logits, LOGITS)
    assert callable(expected)
    np.testing.assert_allclose(probabilities, expected(LOGITS), rtol=1e-5, atol=1e-30)


def test_a_regression_has_none() -> None:
    model = head()
    add_probabilities(model, Task.REGRESSION)
    assert [value.name for value in model.graph.output] == ["logits"]
