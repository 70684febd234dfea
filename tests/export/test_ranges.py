"""The ranges of activations, and the graph that has them fixed."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from mixkd.errors import ConfigError
from mixkd.export import ExportConfig, export
from mixkd.export.config import Recipe, TableFormat
from mixkd.export.graph.graph import copy_of
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.int8.quantize import quantize
from mixkd.export.int8.ranges import measure_ranges
from mixkd.export.sessions import session_of
from mixkd.runtime.encoding import Encoder
from tests.export.conftest import traced
from tests.tiny import tiny_texts


@pytest.fixture(scope="module")
def fp32() -> onnx.ModelProto:
    return rewrite(traced("bert"), max_length=46)[0]


def test_ranges_are_the_least_and_largest_numbers_over_all_texts(
    fp32: onnx.ModelProto, student: Path
) -> None:
    texts = tiny_texts(9)
    ranges = measure_ranges(fp32, texts, tokenizer=student, max_length=46)
    (name,) = [n.input[0] for n in fp32.graph.node if n.name.endswith("layer.0/output/dense/MatMul")]
    probe = copy_of(fp32)
    probe.graph.output.append(onnx.ValueInfoProto(name=name))
    session = session_of(probe)
    encoder = Encoder.from_folder(student, max_length=46, inputs=[i.name for i in session.get_inputs()])
    values = [session.run([name], encoder.feed([tokens]))[0] for tokens in encoder.encode(texts)]
    assert ranges[name] == (min(v.min() for v in values), max(v.max() for v in values))


def test_static_graph_is_qdq_and_multiplies_integers(
    fp32: onnx.ModelProto, student: Path, tmp_path: Path
) -> None:
    import onnxruntime

    ranges = measure_ranges(fp32, tiny_texts(30), tokenizer=student, max_length=46)
    quantized = quantize(fp32, Recipe.STATIC, tables=TableFormat.INT8, ranges=ranges)
    onnx.checker.check_model(quantized.model, full_check=True)
    assert len(quantized.products) == 12
    operators = {node.op_type for node in quantized.model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} < operators
    assert not {"DynamicQuantizeLinear", "MatMulInteger"} & operators
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(quantized.model.SerializeToString(), options)
    run = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert run["MatMulIntegerToFloat"] == 12
    assert run["MatMul"] == run["DequantizeLinear"] == 0


def test_static_bundle_answers_nearly_as_the_student(student: Path, data: Path, tmp_path: Path) -> None:
    from mixkd.corpus.corpus import open_corpus

    config = ExportConfig(recipe=(Recipe.STATIC,))
    result = export(student, tmp_path / "bundle", config=config, data=open_corpus(data))
    assert result.bundle.manifest.recipe == "static"
    assert result.bundle.manifest.precision == "int8"
    assert result.quality is not None
    assert result.quality.int8_agreement is not None
    assert result.quality.int8_agreement >= 0.9


def test_range_that_leaves_out_zero_is_widened(fp32: onnx.ModelProto) -> None:
    graph = quantize(
        fp32,
        Recipe.STATIC,
        tables=TableFormat.FP32,
        ranges=dict.fromkeys((name for node in fp32.graph.node for name in node.input), (0.5, 2.0)),
    ).model
    zeros = [t for t in graph.graph.initializer if t.name.endswith("/zero")]
    assert zeros
    assert not any(np.asarray(onnx.numpy_helper.to_array(zero)).any() for zero in zeros)


@pytest.mark.parametrize(
    ("config", "option"),
    [
        (ExportConfig(recipe=(Recipe.STATIC,)), "--recipe static"),
        (ExportConfig(fastest=True), "--fastest"),
        (ExportConfig(recipe=(Recipe.PORTABLE, Recipe.FAST)), "more than one --recipe"),
    ],
)
def test_recipes_that_need_text_are_refused_without(
    student: Path, tmp_path: Path, config: ExportConfig, option: str
) -> None:
    with pytest.raises(ConfigError, match=f"{option} needs texts: name some with --data"):
        export(student, tmp_path / "b", config=config)


def test_fastest_measures_every_recipe_the_named_one_first() -> None:
    config = ExportConfig(recipe=(Recipe.FAST,), fastest=True)
    assert config.recipes == (Recipe.FAST, Recipe.PORTABLE, Recipe.STATIC)
    assert config.budget == 0.5
