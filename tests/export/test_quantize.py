"""int8 graphs: what becomes int8, and that it means the same."""

from collections import Counter

import numpy as np
import onnx
import pytest

from mixkd.export.config import Recipe, TableFormat
from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.int8.quantize import quantize
from mixkd.export.int8.tables import round_blocks, round_columns
from mixkd.export.sessions import session_of
from tests.export.conftest import VOCAB, traced
from tests.tiny import ENCODERS


def _fp32(kind: str = "bert") -> onnx.ModelProto:
    return rewrite(traced(kind), max_length=46)[0]


def test_every_product_but_the_last_is_int8() -> None:
    quantized = quantize(_fp32(), Recipe.PORTABLE, tables=TableFormat.FP32)
    ops = Counter(node.op_type for node in quantized.model.graph.node)
    assert ops["MatMulInteger"] == len(quantized.products) == 2 * 6 + 1
    assert ops["MatMul"] == 0
    assert ops["Gemm"] == 1
    onnx.checker.check_model(quantized.model, full_check=True)


def test_query_key_and_value_share_one_quantized_input() -> None:
    quantized = quantize(_fp32(), Recipe.PORTABLE, tables=TableFormat.FP32)
    ops = Counter(node.op_type for node in quantized.model.graph.node)
    # Per layer: the layer's input, the context, the feed-forward's input and its inside; the last layer's
    # query reads position 0 alone; then the pooler.
    assert ops["DynamicQuantizeLinear"] == 4 + 5 + 1


def test_kept_products_stay_in_fp32() -> None:
    fp32 = _fp32()
    names = quantize(fp32, Recipe.PORTABLE, tables=TableFormat.FP32).products
    quantized = quantize(fp32, Recipe.PORTABLE, tables=TableFormat.FP32, keep=names[:3])
    assert quantized.products == names[3:]
    assert Counter(node.op_type for node in quantized.model.graph.node)["MatMul"] == 3


def test_only_large_tables_are_int8() -> None:
    fp32 = _fp32()
    quantized = quantize(fp32, Recipe.PORTABLE, tables=TableFormat.INT8)
    assert quantized.tables == ("bert.embeddings.word_embeddings.weight",)
    (rows,) = [t for t in quantized.model.graph.initializer if list(t.dims) == [VOCAB, 16]]
    assert rows.data_type == onnx.TensorProto.INT8
    assert quantize(fp32, Recipe.PORTABLE, tables=TableFormat.FP32).tables == ()


def test_4_bit_table_is_half_as_large_and_reads_as_its_numbers() -> None:
    fp32 = _fp32()
    name = "bert.embeddings.word_embeddings.weight"
    table = Graph(copy_of(fp32)).constant(name)
    assert table is not None
    quantized = quantize(fp32, Recipe.PORTABLE, tables=TableFormat.INT4)
    assert quantized.tables == (name,)
    (packed,) = [t for t in quantized.model.graph.initializer if list(t.dims) == [VOCAB, 8]]
    assert packed.data_type == onnx.TensorProto.UINT8
    onnx.checker.check_model(quantized.model, full_check=True)
    (reader,) = [node for node in fp32.graph.node if name in node.input]
    probe = copy_of(quantized.model)
    probe.graph.output.append(onnx.ValueInfoProto(name=reader.output[0]))
    ids = np.arange(5, 45).reshape(2, 20)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": 0 * ids}
    (found,) = session_of(probe).run([reader.output[0]], feed)
    integers, scales = round_blocks(table, 16)
    np.testing.assert_array_equal(found, (integers * scales)[ids])


def test_round_blocks_clips_an_outlier_where_that_is_nearer() -> None:
    block = np.array([[1.0] * 31 + [1.3]], np.float32)
    integers, scales = round_blocks(block, 32)
    step = block.max() / 7
    plain = np.rint(block / step) * step
    assert np.square(integers * scales - block).sum() < np.square(plain - block).sum()
    assert np.abs(integers).max() <= 7
    zeros, scale = round_blocks(np.zeros((2, 8), np.float32), 8)
    assert not zeros.any()
    assert np.isfinite(scale).all()


@pytest.mark.parametrize(("recipe", "levels"), [(Recipe.PORTABLE, 64), (Recipe.FAST, 127)])
def test_weights_stay_within_the_levels_of_the_recipe(recipe: Recipe, levels: int) -> None:
    quantized = quantize(_fp32(), recipe, tables=TableFormat.FP32)
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in quantized.model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and tensor.name.endswith("weight_int8")
    ]
    # Portable: every column uses its whole range, with a scale of its own. Fast: every matrix.
    axis = 0 if recipe is Recipe.PORTABLE else None
    assert all((np.abs(matrix).max(axis=axis) == levels).all() for matrix in weights)
    scales = [t for t in quantized.model.graph.initializer if t.name.endswith("weight_scale")]
    assert {len(t.dims) for t in scales} == {1 if recipe is Recipe.PORTABLE else 0}


def test_round_columns_is_the_nearest_number_with_one_scale_per_column() -> None:
    weights = np.array([[1.0, -0.02], [-0.5, 0.01], [0.26, 0.0]], np.float32)
    integers, scale = round_columns(weights, 64)
    np.testing.assert_allclose(scale, [1 / 64, 0.02 / 64], rtol=1e-6)
    np.testing.assert_array_equal(integers, [[64, -64], [-32, 32], [17, 0]])
    assert integers.dtype == np.int8


def test_column_of_zeros_stays_zero() -> None:
    integers, scale = round_columns(np.zeros((3, 2), np.float32), 64)
    assert not integers.any()
    assert np.isfinite(scale).all()


@pytest.mark.parametrize("kind", ENCODERS)
def test_int8_answers_nearly_as_fp32_does_for_every_encoder(kind: str) -> None:
    fp32 = _fp32(kind)
    quantized = quantize(fp32, Recipe.PORTABLE, tables=TableFormat.INT8)
    rng = np.random.default_rng(2)
    mask = np.ones((1, 20), np.int64)
    expected, found = [], []
    before, after = session_of(fp32, threads=1), session_of(quantized.model, threads=1)
    for _ in range(12):
        arrays = {
            "input_ids": rng.integers(5, VOCAB, (1, 20)),
            "attention_mask": mask,
            "token_type_ids": 0 * mask,
        }
        feed = {value.name: arrays[value.name] for value in fp32.graph.input}
        expected.append(before.run(["logits"], feed)[0][0])
        found.append(after.run(["logits"], feed)[0][0])
    error = np.abs(np.subtract(found, expected)).mean()
    assert 0 < error < 0.1 * np.abs(expected).mean()
