"""The rewrites as a whole: seen to be exact, or left out and told."""

import numpy as np
import onnx
import pytest

from mixkd.export.graph.dims import Dims
from mixkd.export.graph.graph import Graph
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.graph.static_shapes import fix_shapes
from tests.export.conftest import traced


def test_rewrite_leaves_its_input_as_it_is() -> None:
    original = traced("bert")
    before = original.SerializeToString()
    rewrite(original, max_length=46)
    assert original.SerializeToString() == before


def test_rewrite_that_all_applied_has_nothing_to_note() -> None:
    _, report = rewrite(traced("bert"), max_length=46)
    assert report.exact
    assert report.notes() == ()


def test_attention_that_stays_is_noted() -> None:
    _, report = rewrite(traced("modernbert"), max_length=46)
    (note,) = report.notes()
    assert note.startswith("2 of 2 attentions could not be fused into one node")


def test_rewrite_that_changes_answers_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # A rewrite with a bug: it changes a bias.
    def wrong(graph: Graph, dims: Dims) -> int:
        bias = onnx.numpy_helper.from_array(np.ones(5, np.float32), "classifier.bias")
        graph.initializers["classifier.bias"].CopyFrom(bias)
        return fix_shapes(graph, dims)

    monkeypatch.setattr("mixkd.export.graph.rewrite.fix_shapes", wrong)
    original = traced("bert")
    shipped, report = rewrite(original, max_length=46)
    assert not report.exact
    assert "as traced" in report.notes()[0]
    assert shipped.SerializeToString() == original.SerializeToString()
