"""Dead positions go, for every encoder that pools one token, and no number changes."""

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.sessions import session_of
from tests.export.conftest import VOCAB, trace, traced
from tests.tiny import ENCODERS, tiny_classifier

ROUNDING = 1e-5
"""Of the largest logit."""


def _feeds(model: onnx.ModelProto, max_length: int) -> list[dict[str, NDArray[np.int64]]]:
    rng = np.random.default_rng(1)
    feeds = []
    for batch in (1, 7):
        for length in (1, 2, 13, max_length):
            ids = rng.integers(5, 100, (batch, length))
            mask = np.ones((batch, length), np.int64)
            if batch > 1:
                mask[1, length // 2 + 1 :] = 0
            arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            feeds.append({value.name: arrays[value.name] for value in model.graph.input})
    return feeds


@pytest.mark.parametrize("kind", ENCODERS)
def test_rewritten_graph_answers_as_traced_graph_and_pytorch_do(kind: str) -> None:
    model = tiny_classifier(kind, vocab_size=VOCAB)
    original = traced(kind)
    rewritten, report = rewrite(original, max_length=46)
    before, after = session_of(original, threads=1), session_of(rewritten, threads=1)
    assert report.narrowed > 8
    assert len(rewritten.graph.node) < len(original.graph.node)
    onnx.checker.check_model(rewritten, full_check=True)
    for feed in _feeds(original, max_length=46):
        (expected,), (found,) = before.run(["logits"], feed), after.run(["logits"], feed)
        with torch.inference_mode():
            truth = model(**{name: torch.from_numpy(array) for name, array in feed.items()}).logits.numpy()
        bound = ROUNDING * np.abs(truth).max()
        np.testing.assert_allclose(found, expected, atol=bound, rtol=0)
        np.testing.assert_allclose(found, truth, atol=bound, rtol=0)


@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "modernbert"])
def test_last_feed_forward_computes_one_position(kind: str) -> None:
    rewritten, _ = rewrite(traced(kind), max_length=46)
    graph = Graph(copy_of(rewritten))
    activation = [node.output[0] for node in graph.nodes if node.op_type in {"Erf", "Gelu"}]
    probe = copy_of(graph.model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in activation)
    feed = _feeds(probe, max_length=46)[6]
    first, *_, last = session_of(probe).run(activation[:2], feed)
    assert first.shape[1] == 13
    assert last.shape[1] == 1


def test_classifier_that_pools_all_positions_is_left_alone() -> None:
    _, report = rewrite(trace(tiny_classifier("modernbert", classifier_pooling="mean")), max_length=46)
    assert report.narrowed == 0


def test_selection_stops_where_positions_meet() -> None:
    # The mean over the positions wants all of them, though token 0 of x is read too.
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["x", "last"], ["wide"]),
        helper.make_node("Tanh", ["wide"], ["tanh"]),
        helper.make_node("ReduceMean", ["tanh", "one"], ["mean"], keepdims=0),
        helper.make_node("Exp", ["tanh"], ["exp"]),
        helper.make_node("Gather", ["exp", "zero"], ["first"], axis=1),
        helper.make_node("Add", ["mean", "first"], ["logits"]),
    ]
    constants = [("last", [-1]), ("one", [1]), ("zero", 0)]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 1])],
        [onnx.numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants],
    )
    original = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    rewritten, report = rewrite(original, max_length=46)
    assert report.narrowed == 1
    feed = {"input_ids": np.arange(12).reshape(2, 6)}
    expected, found = (session_of(model).run(["logits"], feed)[0] for model in (original, rewritten))
    np.testing.assert_array_equal(found, expected)
