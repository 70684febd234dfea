"""Attention becomes one node where its mask hides the padding, and only there."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mixkd.export.graph.graph import all_nodes, attribute, copy_of
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.sessions import session_of
from tests.export.conftest import trace, traced
from tests.tiny import tiny_classifier


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra", "albert"])
def test_attention_is_one_node_in_every_layer(kind: str) -> None:
    model, report = rewrite(trace(tiny_classifier(kind, num_hidden_layers=3, n_layers=3)), max_length=46)
    assert report.attentions == report.fused_attentions == 3
    ops = Counter(node.op_type for node in all_nodes(model.graph))
    assert (ops["If"], ops["MultiHeadAttention"], ops["Softmax"]) == (3, 6, 0)


def test_text_without_padding_is_answered_without_a_mask() -> None:
    # What the branch without a mask answers, taken for every text, is wrong for one with padding.
    model, _ = rewrite(traced("bert"), max_length=46)
    never_masked = copy_of(model)
    for node in never_masked.graph.node:
        if node.op_type == "If":
            plain, masked = (attribute(node, f"{branch}_branch").node[0] for branch in ("then", "else"))
            assert (len(plain.input), len(masked.input)) == (3, 5)
            del masked.input[3:]
    ids = np.arange(5, 17).reshape(1, 12)
    sessions = [session_of(graph) for graph in (model, never_masked)]
    for mask, equal in ((np.ones_like(ids), True), ((ids < 11).astype(np.int64), False)):
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids}
        first, second = (session.run(["logits"], feed)[0] for session in sessions)
        assert np.array_equal(first, second) is equal


@pytest.mark.parametrize("kind", ["mpnet", "deberta-v2", "modernbert"])
def test_attention_with_more_than_a_padding_mask_stays_as_it_is(kind: str) -> None:
    _, report = rewrite(traced(kind), max_length=46)
    assert report.fused_attentions == 0 < report.attentions


def test_attention_whose_mask_hides_something_else_stays_as_it_is() -> None:
    # The same nodes, but masked is what was not: seen by running, not by the nodes' names.
    original = traced("bert")
    for node in original.graph.node:
        node.input[:] = ["inverted" if name == "attention_mask" else name for name in node.input]
    original.graph.node.insert(0, helper.make_node("Sub", ["one", "attention_mask"], ["inverted"]))
    original.graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "one"))
    onnx.checker.check_model(original)
    _, report = rewrite(original, max_length=46)
    assert report.fused_attentions == 0
