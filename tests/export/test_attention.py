"""Attention becomes one node where its mask hides the padding, and only there."""

import onnx
import pytest
from onnx import helper

from mixkd.export.convert import convert
from mixkd.export.rewrite import rewrite
from tests.export.conftest import traced
from tests.tiny import tiny_classifier


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra", "albert"])
def test_attention_is_one_node_in_every_layer(kind: str) -> None:
    model, report = rewrite(convert(tiny_classifier(kind, num_hidden_layers=3, n_layers=3)), max_length=46)
    assert report.attentions == report.fused_attentions == 3
    assert [node.op_type for node in model.graph.node].count("MultiHeadAttention") == 3
    assert "Softmax" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("kind", ["mpnet", "deberta-v2", "modernbert"])
def test_attention_with_more_than_a_padding_mask_stays_as_it_is(kind: str) -> None:
    _, report = rewrite(traced(kind), max_length=46)
    assert report.fused_attentions == 0 < report.attentions


def test_attention_whose_mask_hides_something_else_stays_as_it_is() -> None:
    # The same nodes, but masked is what was not: seen by running, not by the nodes' names.
    original = traced("bert")
    (inverted,) = [node for node in original.graph.node if node.op_type == "Sub"]
    inverted.CopyFrom(helper.make_node("Identity", [inverted.input[1]], list(inverted.output)))
    onnx.checker.check_model(original)
    _, report = rewrite(original, max_length=46)
    assert report.fused_attentions == 0
