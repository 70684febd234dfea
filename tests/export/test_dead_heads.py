"""Heads that add nothing are not in the graph, and the logits are those of the whole model."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from transformers import PreTrainedModel

from mixkd.compress.families import FAMILIES, linear_in
from mixkd.compress.narrowing import Widths, narrow
from mixkd.compress.student import cut_layers, layers_of
from mixkd.export import ExportConfig, export
from mixkd.export.dead_heads import without_dead_heads
from mixkd.export.graph.graph import all_nodes, attribute
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.judge.reference import TorchModel, export_fp32
from mixkd.export.sessions import session_of
from mixkd.runtime import Classifier
from tests.export.conftest import trace
from tests.tiny import ENCODERS, tiny_classifier, tiny_texts, write_answers, write_student

HEADS: Mapping[str, Any] = {"num_attention_heads": 4, "n_heads": 4, "num_hidden_layers": 3, "n_layers": 3}


def batch() -> dict[str, torch.Tensor]:
    ids = torch.arange(5, 29).reshape(4, 6)
    mask = torch.ones_like(ids)
    mask[2:, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def narrowed(kind: str, *, ffn: int | None, heads: int) -> PreTrainedModel:
    """A student of two layers, its heads chosen layer by layer."""
    teacher = tiny_classifier(kind, **HEADS)
    student = cut_layers(teacher, 2)
    student.eval()
    narrow(student, teacher, Widths(ffn=ffn, heads=heads), [batch()])
    return student


def answers(graph: onnx.ModelProto) -> Any:
    names = {value.name for value in graph.graph.input}
    arrays = {name: tensor.numpy() for name, tensor in batch().items()}
    arrays["token_type_ids"] = 0 * arrays["input_ids"]
    feed = {name: array for name, array in arrays.items() if name in names}
    return session_of(graph).run(["logits"], feed)[0]


def weights(graph: onnx.ModelProto) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in graph.graph.initializer if len(tensor.dims) == 2)


@pytest.mark.parametrize("kind", ENCODERS)
def test_graph_without_dead_heads_answers_as_the_whole_model(kind: str) -> None:
    student = narrowed(kind, ffn=16, heads=3)
    state = copy.deepcopy(student.state_dict())
    whole = trace(student)
    graph, report = rewrite(trace(without_dead_heads(student)), max_length=46)
    assert report.exact
    assert report.narrowed > 0
    with torch.inference_mode():
        expected = student(**batch()).logits.numpy()
    np.testing.assert_allclose(answers(graph), expected, rtol=1e-4, atol=1e-5)
    # Four channels fewer in each of the four products of an attention.
    layers = 1 if kind == "albert" else 2
    assert weights(whole) - weights(trace(without_dead_heads(student))) == layers * 4 * 16 * 4
    assert all(torch.equal(tensor, state[name]) for name, tensor in student.state_dict().items())


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra", "albert", "xlm-roberta"])
def test_narrower_attention_is_one_node_of_fewer_heads(kind: str) -> None:
    model, report = rewrite(trace(without_dead_heads(narrowed(kind, ffn=None, heads=1))), max_length=46)
    assert report.attentions == report.fused_attentions == 2
    nodes = [node for node in all_nodes(model.graph) if node.op_type == "MultiHeadAttention"]
    assert [attribute(node, "num_heads") for node in nodes] == [1] * 4


def test_model_whose_heads_are_all_used_is_not_copied() -> None:
    model = tiny_classifier("bert", **HEADS)
    assert without_dead_heads(model) is model


def test_layers_may_keep_different_numbers_of_heads_and_one_none() -> None:
    model = tiny_classifier("mpnet", **HEADS)
    for layer, dead in zip(layers_of(model), ([0, 1, 2, 3], [], [2]), strict=True):
        weight = linear_in(layer, FAMILIES["mpnet"].outward).weight.data
        weight.view(16, 4, 4)[:, dead] = 0
    smaller = without_dead_heads(model)
    attentions: list[Any] = [FAMILIES["mpnet"].attention_of(layer) for layer in layers_of(smaller)]
    assert [attention.num_attention_heads for attention in attentions] == [1, 4, 3]
    with torch.inference_mode():
        expected = model(**batch()).logits.numpy()
    np.testing.assert_allclose(answers(trace(smaller)), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = narrowed("bert", ffn=12, heads=2)
    return write_student(tmp_path_factory.mktemp("student") / "student", model)


@pytest.mark.parametrize("int8", [True, False])
def test_bundle_of_a_narrowed_student_answers_as_the_student(
    int8: bool, student: Path, tmp_path: Path
) -> None:
    texts = tiny_texts(60)
    data = write_answers(tmp_path / "data", narrowed("bert", ffn=12, heads=2), texts)
    exported = export(student, tmp_path / "bundle", data=data, config=ExportConfig(int8=int8))
    assert exported.quality is not None
    assert exported.quality.fp32 == exported.quality.student == 1
    logits = TorchModel(student, max_length=48).logits(texts)
    expected = torch.as_tensor(logits).softmax(1).numpy()
    found = np.asarray(Classifier.load(tmp_path / "bundle").predict_proba(texts))
    np.testing.assert_allclose(found, expected, atol=0.1 if int8 else 1e-5)


def test_fp32_graph_for_the_benchmark_has_no_dead_heads_either(student: Path, tmp_path: Path) -> None:
    export_fp32(student, tmp_path / "model.onnx")
    nodes = [
        n for n in all_nodes(onnx.load(tmp_path / "model.onnx").graph) if n.op_type == "MultiHeadAttention"
    ]
    assert {attribute(node, "num_heads") for node in nodes} == {2}
