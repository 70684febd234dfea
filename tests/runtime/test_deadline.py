"""An answer that takes too long ends in an error, and the classifier goes on."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from mixkd.errors import ConfigError, DeadlineError
from mixkd.runtime import Classifier
from mixkd.runtime.manifest import INT8_FILE
from tests.runtime.conftest import MakeBundle

TEXT = "send my money to the account"


def slow(folder: Path) -> None:
    """Add some 100 products of large matrices before the logits: seconds, in many small steps."""
    model: ModelProto = onnx.load(folder / INT8_FILE)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros((1000, 1000), np.float32), "wide"))
    # By way of the text, so that they can't be computed when the graph is loaded.
    made = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["ids"], ["id"], keepdims=0),
        helper.make_node("Mul", ["id", "wide"], ["p0"]),
    ]
    made += [helper.make_node("MatMul", [f"p{i}", "wide"], [f"p{i + 1}"]) for i in range(60)]
    made += [helper.make_node("ReduceMax", ["p60"], ["nothing"], keepdims=0)]
    index = next(i for i, node in enumerate(graph.node) if "logits" in node.output)
    graph.node[index].output[0] = "clean"
    made.append(helper.make_node("Add", ["clean", "nothing"], ["logits"]))
    for number, node in enumerate(made):
        graph.node.insert(index + 1 + number, node)
    onnx.save(model, folder / INT8_FILE)


def test_an_answer_that_takes_too_long_is_an_error(make_bundle: MakeBundle) -> None:
    folder = make_bundle(slow)
    classifier = Classifier.load(folder, threads=1, timeout_s=0.05)
    for ask in (classifier.predict, classifier.predict_proba):
        with pytest.raises(DeadlineError, match=r"no answer within 0\.05 seconds"):
            ask(TEXT)
        with pytest.raises(TimeoutError):
            ask([TEXT, TEXT])
    assert Classifier.load(folder, threads=1, timeout_s=60).predict(TEXT).label


def test_an_answer_in_time_is_the_same(bundle: Path) -> None:
    timed, plain = Classifier.load(bundle, timeout_s=60.0), Classifier.load(bundle)
    assert timed.predict(TEXT) == plain.predict(TEXT)
    assert timed.predict([TEXT, "pay"]) == plain.predict([TEXT, "pay"])
    np.testing.assert_array_equal(timed.predict_proba(TEXT), plain.predict_proba(TEXT))


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_an_impossible_limit_is_refused(bundle: Path, seconds: float) -> None:
    with pytest.raises(ConfigError, match="timeout_s is"):
        Classifier.load(bundle, timeout_s=seconds)
