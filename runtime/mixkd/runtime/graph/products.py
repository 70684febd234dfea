"""Operators that add up products, and those that measure or change the range of a whole tensor."""

from mixkd.runtime.graph.facts import Fact, Facts, axis_of, broadcast, count, given, values_of
from mixkd.runtime.graph.model import FLOAT, INT8, INT32, UINT8, Node

Found = tuple[list[Fact], int]
_BYTES = frozenset({UINT8, INT8})
_MASK = 4
_MOST_HEADS = 1024


def matmul(_: Node, facts: Facts) -> Found:
    """A product of matrices of floats."""
    first, second = given(facts, 0, "input"), given(facts, 1, "input")
    if first.kind != FLOAT or second.kind != FLOAT:
        raise ValueError("it multiplies other numbers than floats")
    return _product(FLOAT, first.dims, second.dims)


def matmul_integer(_: Node, facts: Facts) -> Found:
    """A product of matrices of bytes, each with a zero of its own."""
    first, second = given(facts, 0, "input"), given(facts, 1, "input")
    found = _product(INT32, first.dims, second.dims)
    if first.kind not in _BYTES or second.kind not in _BYTES:
        raise ValueError("it multiplies other numbers than bytes")
    for of, zero, sizes in zip((first, second), facts[2:], ({1}, {1, second.dims[-1]}), strict=False):
        if zero is not None and (zero.kind != of.kind or len(zero.dims) > 1 or count(zero.dims) not in sizes):
            raise ValueError("a zero has another format or shape than its numbers")
    return found


def gemm(node: Node, facts: Facts) -> Found:
    """A product of two matrices, and a bias."""
    first, second = given(facts, 0, "input"), given(facts, 1, "input")
    if any(fact is not None and (fact.kind != FLOAT or len(fact.dims) > 2) for fact in facts):
        raise ValueError("it multiplies other numbers than floats")
    if len(first.dims) != 2 or len(second.dims) != 2:
        raise ValueError("it multiplies no matrices")
    left = first.dims[::-1] if node.attributes.get("transA") else first.dims
    right = second.dims[::-1] if node.attributes.get("transB") else second.dims
    found = _product(FLOAT, left, right)
    bias = facts[2] if len(facts) > 2 else None
    if bias is not None and broadcast(found[0][0].dims, bias.dims) != found[0][0].dims:
        raise ValueError("its bias has another shape than its product")
    return found


def attention(node: Node, facts: Facts) -> Found:
    """All heads of an attention in one: queries, keys and values of (B, T, H), and a mask of (B, T)."""
    query, key, value = (given(facts, i, what) for i, what in enumerate(("query", "key", "value")))
    heads = node.attributes.get("num_heads")
    if not isinstance(heads, int) or not 0 < heads <= _MOST_HEADS:
        raise ValueError(f"it has {heads!r} heads")
    if any(len(fact.dims) != 3 or fact.kind != FLOAT for fact in (query, key, value)):
        raise ValueError("its inputs are no floats of three dimensions")
    batch, length, width = query.dims
    others = key.dims[1]
    if width % heads or key.dims != (batch, others, width) or value.dims != (batch, others, width):
        raise ValueError("its queries, keys and values don't fit together")
    if len(facts) > _MASK - 1 and facts[_MASK - 1] is not None:
        raise ValueError("it has a bias, which no export of mixkd writes")
    mask = facts[_MASK] if len(facts) > _MASK else None
    if mask is not None and (mask.kind != INT32 or mask.dims != (batch, others)):
        raise ValueError("its mask has another shape than its keys")
    scores = batch * heads * length * others
    return [Fact(FLOAT, query.dims)], scores + 2 * batch * length * others * width


def layer_normalization(node: Node, facts: Facts) -> Found:
    """The last dimension scaled to mean 0 and variance 1."""
    first = given(facts, 0, "input")
    if node.attributes.get("axis", -1) != -1 or not first.dims or first.kind != FLOAT:
        raise ValueError("it normalizes another axis than the last")
    if None in facts:
        raise ValueError("an input of it has no name, which releases of onnxruntime die of when they load it")
    for fact in facts[1:]:
        if fact is not None and (fact.dims != first.dims[-1:] or fact.kind != FLOAT):
            raise ValueError("its scale has another shape than what it scales")
    return [Fact(FLOAT, first.dims)], 0


def reduction(node: Node, facts: Facts) -> Found:
    """One number for each stretch along some axes."""
    first = given(facts, 0, "input")
    axes = node.attributes.get("axes")
    if len(facts) > 1:
        axes = values_of(given(facts, 1, "axes"), "axes")
    rank = len(first.dims)
    gone = {axis_of(axis, rank) for axis in axes} if isinstance(axes, tuple) and axes else set(range(rank))
    if node.attributes.get("keepdims", 1):
        return [Fact(first.kind, tuple(1 if i in gone else d for i, d in enumerate(first.dims)))], 0
    return [Fact(first.kind, tuple(d for i, d in enumerate(first.dims) if i not in gone))], 0


def quantize_by_range(_: Node, facts: Facts) -> Found:
    """Floats to bytes by their own range: the bytes, their scale, their zero."""
    first = given(facts, 0, "input")
    if first.kind != FLOAT:
        raise ValueError("it quantizes other numbers than floats")
    return [Fact(UINT8, first.dims), Fact(FLOAT, ()), Fact(UINT8, ())], 0


def quantize(node: Node, facts: Facts) -> Found:
    """Floats to bytes by a given scale and zero."""
    first, zero = given(facts, 0, "input"), given(facts, 2, "zero")
    if first.kind != FLOAT or zero.kind not in _BYTES:
        raise ValueError("it quantizes to other numbers than bytes")
    _check_scale(node, first, given(facts, 1, "scale"), zero)
    return [Fact(zero.kind, first.dims)], 0


def dequantize(node: Node, facts: Facts) -> Found:
    """Bytes to floats by a given scale and zero."""
    first = given(facts, 0, "input")
    zero = facts[2] if len(facts) > 2 else None
    if first.kind not in _BYTES | {INT32} or (zero is not None and zero.kind != first.kind):
        raise ValueError("it reads other numbers than bytes, or its zero has another format")
    _check_scale(node, first, given(facts, 1, "scale"), zero)
    return [Fact(FLOAT, first.dims)], 0


def _check_scale(node: Node, first: Fact, scale: Fact, zero: Fact | None) -> None:
    if scale.kind != FLOAT or (zero is not None and zero.dims != scale.dims):
        raise ValueError("its scale is no float, or has another shape than its zero")
    if scale.dims in {(), (1,)}:
        return
    axis = axis_of(node.attributes.get("axis", 1), len(first.dims))
    if scale.dims != first.dims[axis : axis + 1]:
        raise ValueError("its scale has another shape than what it scales")


def _product(kind: int, first: tuple[int, ...], second: tuple[int, ...]) -> Found:
    if len(first) < 2 or len(second) < 2 or first[-1] != second[-2]:
        raise ValueError("it multiplies matrices that don't fit together")
    dims = (*broadcast(first[:-2], second[:-2]), first[-2], second[-1])
    return [Fact(kind, dims)], count(dims) * first[-1]
