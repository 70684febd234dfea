"""Quantizes matrix products with constant weights, and embedding tables.

::

    x ─ MatMul(W) ─ y     becomes     x ─ DynamicQuantizeLinear ─ MatMulInteger(W8) ─ Cast ─ Mul(scales) ─ y

Weights are symmetric, with one scale per output channel (`fast`: one per matrix, which saves onnxruntime
two or three microseconds per product). Activations get one scale per call, computed at run time and shared by
all products that read the same tensor. Products of two activations and the classifier's last layer stay in
fp32: they take little time and lose the most accuracy. onnxruntime fuses the nodes above into one or two when
it opens the file.

The recipe `static` uses ranges of the activations that were measured before, in the QDQ form of ONNX::

    x ─ QuantizeLinear ─ DequantizeLinear ─ MatMul(DequantizeLinear(W8)) ─ y

With `static`, the linear layers after the pooling stay in fp32, because onnxruntime doesn't recognise an int8
product in their Gemm nodes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx

from mixkd.export.config import Recipe, TableFormat
from mixkd.export.graph.graph import Graph, attribute, copy_of
from mixkd.export.graph.probabilities import BEFORE_TEMPERATURE
from mixkd.export.int8.tables import is_matrix, quantize_tables, round_columns, round_matrix

_LEVELS = {Recipe.PORTABLE: 64, Recipe.FAST: 127, Recipe.STATIC: 64}
# AVX2 without VNNI adds two products in a 16-bit integer: 255 * 64 * 2 fits, 255 * 127 * 2 doesn't.


Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""The smallest and the largest value of each tensor, by name."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """An int8 graph and its quantized parts.

    Attributes:
        model: The graph.
        products: Names of the MatMul nodes that are int8 now.
        tables: Names of the embedding tables that are integers now.
    """

    model: onnx.ModelProto
    products: tuple[str, ...]
    tables: tuple[str, ...]


def quantize(
    model: onnx.ModelProto,
    recipe: Recipe,
    *,
    tables: TableFormat,
    keep: Collection[str] = (),
    ranges: Ranges | None = None,
) -> Quantized:
    """Return the int8 version of a graph.

    Args:
        model: A rewritten fp32 graph; it is not changed.
        recipe: How the matrix products are quantized.
        tables: The format of the embedding tables.
        keep: Names of products and tables that stay in fp32.
        ranges: The ranges of the products' inputs, for the recipe `static`.
    """
    graph = Graph(copy_of(model))
    if recipe is not Recipe.STATIC or not product_nodes(graph):
        _split_linear_layers(graph)
    products = [node for node in product_nodes(graph) if node.name not in keep]
    scales: dict[str, tuple[str, str, str]] = {}
    decoded: dict[str, str] = {}
    for node in products:
        if recipe is Recipe.STATIC:
            assert ranges is not None, "static needs the ranges of the activations"
            _fix_product(graph, node, _LEVELS[recipe], ranges, decoded)
        else:
            _quantize_product(graph, node, recipe, scales)
    found = quantize_tables(graph, tables, keep)
    graph.tidy()
    return Quantized(graph.model, tuple(node.name for node in products), tuple(found))


def _split_linear_layers(graph: Graph) -> None:
    # The tracer writes the linear layers after the pooling as Gemm, product and bias in one node. The last
    # one, which gives the logits, is left as it is.
    last = graph.outputs | {BEFORE_TEMPERATURE}
    for node in list(graph.nodes):
        weights = graph.constant(node.input[1]) if node.op_type == "Gemm" else None
        if weights is None or node.output[0] in last or len(node.input) < 3:
            continue
        right = weights.T if attribute(node, "transB", 0) else weights
        if (
            attribute(node, "alpha", 1.0) != 1
            or attribute(node, "beta", 1.0) != 1
            or attribute(node, "transA", 0)
        ):
            continue
        matrix = graph.add_constant(right, f"{node.input[1]}/right")
        bias, result = node.input[2], node.output[0]
        node.op_type = "MatMul"
        node.input[:] = [node.input[0], matrix]
        node.output[0] = graph.fresh_name(f"{node.name}/product")
        del node.attribute[:]
        graph.nodes.append(
            onnx.helper.make_node("Add", [node.output[0], bias], [result], name=f"{node.name}/bias")
        )
    graph.tidy()


def product_nodes(graph: Graph) -> list[onnx.NodeProto]:
    """Return the matrix products with constant weights on the right, in order."""
    return [n for n in graph.nodes if n.op_type == "MatMul" and is_matrix(graph.constant(n.input[1]))]


def _quantize_product(
    graph: Graph, node: onnx.NodeProto, recipe: Recipe, scales: dict[str, tuple[str, str, str]]
) -> None:
    source, weights = node.input[0], graph.constant(node.input[1])
    assert weights is not None, "product_nodes returns constant right sides only"
    if source not in scales:
        scales[source] = _quantize_activation(graph, source)
    quantized, scale, zero = scales[source]
    rounded = round_matrix if recipe is Recipe.FAST else round_columns
    integers, own_scale = rounded(weights, _LEVELS[recipe])
    name = node.name
    weight = graph.add_constant(integers, f"{name}/weight_int8")
    weight_scale = graph.add_constant(own_scale, f"{name}/weight_scale")
    # The order of the inputs below is the one that onnxruntime's fusion expects.
    total = graph.add_node("MatMulInteger", [quantized, weight, zero], f"{name}/int32")
    real = graph.add_node("Cast", [total], f"{name}/float", to=onnx.TensorProto.FLOAT)
    both = graph.add_node("Mul", [scale, weight_scale], f"{name}/scale")
    node.op_type = "Mul"
    node.input[:] = [real, both]


def _quantize_activation(graph: Graph, source: str) -> tuple[str, str, str]:
    values, scale, zero = (graph.fresh_name(f"{source}/{part}") for part in ("uint8", "scale", "zero"))
    graph.nodes.append(
        onnx.helper.make_node("DynamicQuantizeLinear", [source], [values, scale, zero], name=values)
    )
    return values, scale, zero


def _fix_product(
    graph: Graph, node: onnx.NodeProto, levels: int, ranges: Ranges, decoded: dict[str, str]
) -> None:
    source, weights = node.input[0], graph.constant(node.input[1])
    assert weights is not None, "product_nodes returns constant right sides only"
    if source not in decoded:
        decoded[source] = _fix_activation(graph, source, *ranges[source])
    integers, column_scale = round_columns(weights, levels)
    weight = graph.add_constant(integers, f"{node.name}/weight_int8")
    scale = graph.add_constant(column_scale, f"{node.name}/weight_scale")
    zero = graph.add_constant(np.zeros(len(column_scale), np.int8), f"{node.name}/weight_zero")
    right = graph.add_node("DequantizeLinear", [weight, scale, zero], f"{node.name}/weight", axis=1)
    node.input[:] = [decoded[source], right]


def _fix_activation(graph: Graph, source: str, least: float, largest: float) -> str:
    # The range must include 0, so that 0 is represented exactly.
    least, largest = min(least, 0.0), max(largest, 0.0)
    step = (largest - least) / 255 or 1.0
    scale = graph.add_constant(np.array(step, np.float32), f"{source}/scale")
    zero = graph.add_constant(np.array(round(-least / step), np.uint8), f"{source}/zero")
    values = graph.add_node("QuantizeLinear", [source, scale, zero], f"{source}/uint8")
    return graph.add_node("DequantizeLinear", [values, scale, zero], f"{source}/decoded")
