"""Attention as one node.

::

    Q ─ Reshape ─ Transpose ─┐
    K ─ Reshape ─ Transpose ─ MatMul ─ Div ─ Add(mask) ─ Softmax ─ MatMul ─ Transpose ─ Reshape ─ y
    V ─ Reshape ─ Transpose ───────────────────────────────────────┘

becomes ``MultiHeadAttention(Q, K, V, attention_mask)`` of onnxruntime (domain ``com.microsoft``), which keeps
the scores of one head in the CPU cache. The meaning of the mask isn't guessed from its nodes: the graph is
run with some tokens masked, and the mask's values are compared with the padding.

Without a mask, onnxruntime processes keys and values in tiles that fit the cache (as FlashAttention does),
which is 20 to 33 % faster from 64 tokens on. A text that is answered alone has no padding. So each attention
becomes an ``If``: without a mask if no token is padding, with it otherwise.

An attention that does more than hide padding is left as it is. MPNet's relative positions would fit the
node's bias, but with a bias the node is slower than the separate nodes (3 layers, hidden size 384: by 11 to
19 % at 12 to 128 tokens). DeBERTa's relative positions and ModernBERT's rotary positions and local windows
don't fit into the node.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mixkd.export.graph.dims import Dims
from mixkd.export.graph.graph import Graph, attribute, copy_of
from mixkd.export.sessions import session_of

DOMAIN = "com.microsoft"
_MASK = "attention_mask"
_HIDDEN = -1e4  # what MultiHeadAttention adds to a masked score; the exponential of that is 0


@dataclass(frozen=True, slots=True)
class FusedAttention:
    """What the rewrite did.

    Attributes:
        fused: Attentions that are one node now.
        found: Attentions before the rewrite.
    """

    fused: int
    found: int


@dataclass(frozen=True, slots=True)
class _Match:
    query: str
    key: str
    value: str
    heads: int
    scale: float
    mask: str
    adds: bool  # the mask is added to the scores; if not, it selects the scores that are replaced
    output: str


def fuse_attention(graph: Graph, dims: Dims) -> FusedAttention:
    """Replace each attention over a padding mask by one node.

    Args:
        graph: Rewritten in place.
        dims: The dimensions of its tensors; they are still right afterwards.
    """
    found = [node for node in graph.nodes if node.op_type == "Softmax" and len(dims[node.output[0]]) == 4]
    matches = [match for node in found if (match := _match(graph, node, dims))]
    plain = _padding_masks(graph, {match.mask: match.adds for match in matches})
    matches = [match for match in matches if match.mask in plain]
    if matches:
        padding = graph.add_node("Cast", [_MASK], "attention/padding", to=TensorProto.INT32)
        least = graph.add_node("ReduceMin", [padding], "attention/least", keepdims=0)
        whole = graph.add_node("Cast", [least], "attention/whole", to=TensorProto.BOOL)
        for match in matches:
            name = f"{match.output.rsplit('/', 1)[0]}/attention"
            fused = graph.add_node(
                "If",
                [whole],
                name,
                then_branch=_branch(match, graph.fresh_name(f"{name}/plain")),
                else_branch=_branch(match, graph.fresh_name(f"{name}/masked"), "", padding),
            )
            graph.replace(match.output, fused)
        graph.model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        graph.tidy()
    return FusedAttention(fused=len(matches), found=len(found))


def _branch(match: _Match, name: str, *mask: str) -> onnx.GraphProto:
    node = helper.make_node(
        "MultiHeadAttention",
        [match.query, match.key, match.value, *mask],
        [name],
        name=name,
        domain=DOMAIN,
        num_heads=match.heads,
        scale=match.scale,
        mask_filter_value=_HIDDEN,
    )
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])


def _match(graph: Graph, softmax: onnx.NodeProto, dims: Dims) -> _Match | None:
    masked = graph.producer.get(softmax.input[0])
    if masked is None or masked.op_type not in {"Add", "Where"}:
        return None
    adds = masked.op_type == "Add"
    replaced = None if adds else graph.constant(masked.input[1])
    if not adds and (replaced is None or replaced.max() > _HIDDEN):
        return None
    mask, source = (masked.input[1], masked.input[0]) if adds else (masked.input[0], masked.input[2])
    scores, scale = _unscaled(graph, source)
    product = graph.producer.get(scores)
    (context, *others) = [node for node, _ in graph.readers[softmax.output[0]]]
    if product is None or product.op_type != "MatMul" or context.op_type != "MatMul" or others:
        return None
    query, query_scale = _heads(graph, product.input[0], (0, 2, 1, 3))
    key, key_scale = _heads(graph, product.input[1], (0, 2, 3, 1))
    value, value_scale = _heads(graph, context.input[1], (0, 2, 1, 3))
    output = _merged(graph, context)
    if not (query and key and value and output) or value_scale != 1:
        return None
    heads = dims[softmax.output[0]][1][0]
    return _Match(query, key, value, heads, scale * query_scale * key_scale, mask, adds, output)


def _unscaled(graph: Graph, name: str) -> tuple[str, float]:
    # Skip multiplications and divisions by one number, and return their product.
    scale = 1.0
    while (node := graph.producer.get(name)) is not None and node.op_type in {"Mul", "Div"}:
        number = graph.constant(node.input[1])
        if number is None or number.size != 1:
            break
        scale = scale * number.item() if node.op_type == "Mul" else scale / number.item()
        name = node.input[0]
    return name, scale


def _heads(graph: Graph, name: str, order: tuple[int, ...]) -> tuple[str | None, float]:
    # The (B, T, H) tensor that is split into heads and transposed, and the scale applied on the way.
    axes = list(range(4))
    name, scale = _unscaled(graph, name)
    while (node := graph.producer.get(name)) is not None and node.op_type == "Transpose":
        perm = list(attribute(node, "perm"))
        axes = [perm[axis] for axis in axes]
        name, more = _unscaled(graph, node.input[0])
        scale *= more
    if node is None or node.op_type != "Reshape" or tuple(axes) != order:
        return None, 1.0
    name, more = _unscaled(graph, node.input[0])
    return name, scale * more


def _merged(graph: Graph, context: onnx.NodeProto) -> str | None:
    # The (B, T, H) tensor that joins the heads.
    transposes = [node for node, _ in graph.readers[context.output[0]]]
    if len(transposes) != 1 or transposes[0].op_type != "Transpose":
        return None
    if list(attribute(transposes[0], "perm")) != [0, 2, 1, 3]:
        return None
    reshapes = [node for node, _ in graph.readers[transposes[0].output[0]]]
    one = len(reshapes) == 1 and reshapes[0].op_type == "Reshape"
    return reshapes[0].output[0] if one else None


def _padding_masks(graph: Graph, masks: dict[str, bool]) -> set[str]:
    """Return the masks that hide exactly the padding, found by running the graph on a batch with padding."""
    inputs = [value.name for value in graph.model.graph.input]
    if not masks or _MASK not in inputs:
        return set()
    probe = copy_of(graph.model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in masks)
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]], np.int64)
    feed = {name: mask if name == _MASK else np.ones_like(mask) for name in inputs}
    found = session_of(probe, threads=1).run(list(masks), feed)
    return {name for name, values in zip(masks, found, strict=True) if _hides(values, mask, adds=masks[name])}


def _hides(values: NDArray[np.float32], mask: NDArray[np.int64], *, adds: bool) -> bool:
    padded = mask[:, None, None, :] == 0
    if values.ndim != 4 or values.shape[-1] != mask.shape[1]:
        return False
    hidden = values <= _HIDDEN if adds else values != 0
    kept = values == 0
    return bool((hidden == padded).all() and (kept != padded).all())
