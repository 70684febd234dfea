"""Embedding tables as integers: 8 bits with a scale per row, or 4 bits with a scale per block of a row.

::

    ids ─ Gather(table) ─ y

becomes, in 8 bits,

::

    ids ─┬─ Gather(rows) ─ Cast ─ Mul ─ y
         └─ Gather(scales) ────────┘

and in 4 bits, where a byte holds column k in its lower and column k + H/2 in its upper half,

::

    ids ─┬─ Gather(rows) ─┬─ BitwiseAnd ─ Concat ─ DequantizeLinear ─ Mul ─ y
         │                └─ BitShift ─────┘                           │
         └─ Gather(scales) ────────────────────────────────────────────┘

onnxruntime's own operator for this, GatherBlockQuantized, decodes number by number: 64 tokens take 0.6 ms.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mixkd.export.config import TableFormat
from mixkd.export.graph.graph import Graph, copy_of

_SMALL_TABLE_BYTES = 2**14
# A smaller table (segments) stays in fp32: it would save next to nothing.

_LARGE_TABLE_BYTES = 2**19
# A smaller table (positions) is int8 in the file and fp32 in memory; a larger one is integers in both.

_BLOCK = 128
"""Numbers of a 4-bit row that share a scale; 32 would be slightly more accurate and 10 % larger."""

_CLIPPINGS = np.linspace(0.6, 1.0, 9)
# Clipping limits that are tried for a block, relative to its peak: with 15 levels, clipping can be better.


def quantize_tables(graph: Graph, tables: TableFormat, keep: Collection[str]) -> list[str]:
    """Quantize the tables that are only read by look-ups.

    Args:
        graph: Rewritten in place; call `tidy` afterwards.
        tables: The format; small tables are int8 even where the large ones have 4 bits.
        keep: Names of tables that stay in fp32.

    Returns:
        The names of the tables that are integers now.
    """
    done: list[str] = []
    if tables is TableFormat.FP32:
        return done
    for name in [tensor.name for tensor in graph.model.graph.initializer]:
        table, readers = graph.constant(name), graph.readers[name]
        looked_up = all(node.op_type in {"Gather", "Slice"} and index == 0 for node, index in readers)
        if not readers or not looked_up or not is_matrix(table) or name in keep:
            continue
        assert table is not None, "is_matrix refuses None"
        if table.nbytes < _SMALL_TABLE_BYTES:
            continue
        nodes = [node for node, _ in readers]
        if table.nbytes < _LARGE_TABLE_BYTES:
            graph.replace(name, _decoded(graph, table, name))
        elif tables is TableFormat.INT4 and _halves(table) and {n.op_type for n in nodes} == {"Gather"}:
            _store_4_bits(graph, table, name, nodes)
        else:
            _store_8_bits(graph, table, name, nodes)
        done.append(name)
    return done


def round_columns(weights: NDArray[np.float32], levels: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return (K, N) integers within ±levels and (N,) scales: each column rounded with its own scale."""
    peak = np.abs(weights).max(axis=0)
    scale = np.where(peak > 0, peak / levels, 1).astype(np.float32)
    return np.rint(weights / scale).astype(np.int8), scale


def round_matrix(weights: NDArray[np.float32], levels: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return (K, N) integers within ±levels and one scale, (), for the whole matrix."""
    scale = np.array(np.abs(weights).max() / levels or 1, np.float32)
    return np.rint(weights / scale).astype(np.int8), scale


def round_blocks(table: NDArray[np.float32], block: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return the 4-bit integers and scales with the smallest squared error, of several clipping limits.

    Args:
        table: (V, H).
        block: Numbers per scale; divides H.

    Returns:
        (V, H) integers within ±7, and (V, H / block) scales.
    """
    blocks = table.reshape(len(table), -1, block)
    peak = np.abs(blocks).max(axis=2, keepdims=True)
    best = np.zeros_like(blocks, np.int8)
    scale, error = np.ones_like(peak), np.full_like(peak, np.inf)
    for share in _CLIPPINGS:
        tried = np.where(peak > 0, share * peak / 7, 1).astype(np.float32)
        integers = np.clip(np.rint(blocks / tried), -7, 7).astype(np.int8)
        missed = np.square(integers * tried - blocks).sum(axis=2, keepdims=True)
        better = missed < error
        best, scale = np.where(better, integers, best), np.where(better, tried, scale)
        error = np.minimum(error, missed)
    return best.reshape(table.shape), scale[:, :, 0]


def is_matrix(value: NDArray[Any] | None) -> bool:
    """Return whether a constant is an fp32 matrix."""
    return value is not None and value.ndim == 2 and bool(value.dtype == np.float32)


def _halves(table: NDArray[Any]) -> bool:
    return bool(table.shape[1] % 2 == 0)


def _store_8_bits(graph: Graph, table: NDArray[Any], name: str, readers: list[onnx.NodeProto]) -> None:
    integers, row_scale = round_columns(table.T, 127)
    rows = graph.add_constant(integers.T, f"{name}_int8")
    scales = graph.add_constant(row_scale[:, None], f"{name}_scale")
    for node in readers:
        real = graph.add_node(
            "Cast", [_read(graph, node, rows)], f"{node.name}/float", to=onnx.TensorProto.FLOAT
        )
        _become(node, "Mul", real, _read(graph, node, scales))


def _store_4_bits(graph: Graph, table: NDArray[Any], name: str, readers: list[onnx.NodeProto]) -> None:
    width = table.shape[1]
    block = _BLOCK if width % _BLOCK == 0 else width
    integers, scale = round_blocks(table, block)
    low, high = np.split((integers + 8).astype(np.uint8), 2, axis=1)
    rows = graph.add_constant(low | high << 4, f"{name}_int4")
    scales = graph.add_constant(scale[:, :, None], f"{name}_scale")
    mask, four, one, eight = (
        graph.add_constant(np.array(value, kind), f"{name}/{hint}")
        for value, kind, hint in (
            (15, np.uint8, "low"),
            (4, np.uint8, "high"),
            (1, np.float32, "unit"),
            (8, np.uint8, "zero"),
        )
    )
    for node in readers:
        packed, at = _read(graph, node, rows), node.name
        lower = graph.add_node("BitwiseAnd", [packed, mask], f"{at}/low")
        upper = graph.add_node("BitShift", [packed, four], f"{at}/high", direction="RIGHT")
        both = graph.add_node("Concat", [lower, upper], f"{at}/uint4", axis=-1)
        real = graph.add_node("DequantizeLinear", [both, one, eight], f"{at}/float")
        blocks, whole = (
            graph.add_constant(np.array(shape, np.int64), f"{at}/shape")
            for shape in ((0, 0, width // block, block), (0, 0, width))
        )
        split = graph.add_node("Reshape", [real, blocks], f"{at}/blocks")
        scaled = graph.add_node("Mul", [split, _read(graph, node, scales)], f"{at}/scaled")
        _become(node, "Reshape", scaled, whole)


def _read(graph: Graph, node: onnx.NodeProto, part: str) -> str:
    # Look up one part of the quantized table with a copy of the node that looked up the table.
    reader = copy_of(node)
    reader.input[0] = part
    reader.name = reader.output[0] = graph.fresh_name(f"{node.name}/{part.rsplit('_', 1)[1]}")
    graph.nodes.append(reader)
    return str(reader.output[0])


def _become(node: onnx.NodeProto, op: str, *inputs: str) -> None:
    # Turn a node into another one whose output keeps its name.
    node.op_type = op
    node.input[:] = inputs
    del node.attribute[:]


def _decoded(graph: Graph, table: NDArray[Any], name: str) -> str:
    # Nodes with constant inputs only: onnxruntime computes them once, when it opens the file.
    integers, row_scale = round_columns(table.T, 127)
    rows = graph.add_constant(integers.T, f"{name}_int8")
    scales = graph.add_constant(row_scale[:, None], f"{name}_scale")
    real = graph.add_node("Cast", [rows], f"{name}/float", to=onnx.TensorProto.FLOAT)
    return graph.add_node("Mul", [real, scales], f"{name}/decoded")
