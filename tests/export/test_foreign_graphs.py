"""A bundle that was sealed over another graph: its outputs never overrun the arrays that wait for them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mixkd.errors import BundleError
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.bundle import seal_bundle
from mixkd.runtime.manifest import INT8_FILE, PROBABILITIES
from tests.runtime.conftest import FIXTURE


def as_doubles(model: ModelProto) -> None:
    """Make the graph give and declare float64."""
    model.graph.node.append(helper.make_node("Cast", ["inner"], [PROBABILITIES], to=TensorProto.DOUBLE))
    model.graph.output[-1].type.tensor_type.elem_type = TensorProto.DOUBLE


def longer_than_declared(model: ModelProto) -> None:
    """Make the graph give a thousand times as many numbers per token as it declares."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1000], np.int64), "times"))
    model.graph.node.append(helper.make_node("Shape", ["input_ids"], ["shape_of_ids"]))
    model.graph.node.append(helper.make_node("Mul", ["shape_of_ids", "times"], ["repeats"]))
    model.graph.node.append(helper.make_node("Tile", ["inner", "repeats"], [PROBABILITIES]))


def sealed(folder: Path, change: Callable[[ModelProto], None]) -> Path:
    shutil.copytree(FIXTURE, folder)
    model = onnx.load(folder / INT8_FILE)
    (node,) = (node for node in model.graph.node if PROBABILITIES in node.output)
    node.output[0] = "inner"
    change(model)
    onnx.save(model, folder / INT8_FILE)
    seal_bundle(folder, open_bundle(FIXTURE).manifest)
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [(as_doubles, r"gives float64 \(1, 5\) as probabilities"), (longer_than_declared, r"\(1, 160000\)")],
    ids=["type", "size"],
)
def test_other_outputs_than_the_manifests_are_refused_at_load(
    tmp_path: Path, change: Callable[[ModelProto], None], words: str
) -> None:
    with pytest.raises(BundleError, match=words):
        Classifier.load(sealed(tmp_path / "bundle", change))
