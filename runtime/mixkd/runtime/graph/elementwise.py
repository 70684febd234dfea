"""Operators that go through tensors number by number."""

from collections.abc import Callable

from mixkd.runtime.graph.facts import (
    INTEGERS,
    MOST_VALUES,
    Fact,
    Facts,
    axis_of,
    broadcast,
    count,
    given,
    grows,
    rising,
    values_of,
)
from mixkd.runtime.graph.model import BOOL, KIND_BYTES, Node

Compute = Callable[[int, int], int | None]
Found = tuple[list[Fact], int]


def same(_: Node, facts: Facts) -> Found:
    """One tensor to another of its kind and shape."""
    first = given(facts, 0, "input")
    return [Fact(first.kind, first.dims)], 0


def along_axis(node: Node, facts: Facts) -> Found:
    """As `same`, along an axis."""
    first = given(facts, 0, "input")
    axis_of(node.attributes.get("axis", -1), len(first.dims))
    return [Fact(first.kind, first.dims)], 0


def cumulative(node: Node, facts: Facts) -> Found:
    """As `same`, along an axis that is an input."""
    (axis,) = values_of(given(facts, 1, "axis"), "axis")
    axis_of(axis, len(given(facts, 0, "input").dims))
    return same(node, facts)


def unchanged(_: Node, facts: Facts) -> Found:
    """The tensor itself."""
    return [given(facts, 0, "input")], 0


def cast(node: Node, facts: Facts) -> Found:
    """The same numbers in another format."""
    first, kind = given(facts, 0, "input"), node.attributes.get("to")
    if not isinstance(kind, int) or kind not in KIND_BYTES:
        raise ValueError(f"it casts to the number format {kind!r}")
    values = first.values if kind in INTEGERS and first.kind in INTEGERS | {BOOL} else None
    if kind == BOOL and first.values is not None and not grows(*first.values):
        values = tuple(map(bool, first.values))
    return [Fact(kind, first.dims, values)], 0


def clip(node: Node, facts: Facts) -> Found:
    """Numbers kept within bounds."""
    if any(fact is not None and count(fact.dims) != 1 for fact in facts[1:]):
        raise ValueError("a bound is not one number")
    return same(node, facts)


def arithmetic(node: Node, facts: Facts) -> Found:
    """Two tensors to one of their kind."""
    first, second = given(facts, 0, "input"), given(facts, 1, "input")
    if first.kind != second.kind and node.op != "Pow":
        raise ValueError("its inputs are of two number formats")
    dims = broadcast(first.dims, second.dims)
    if node.op == "Div" and first.kind in INTEGERS and min(values_of(second, "divisor"), default=1) < 1:
        raise ValueError("it divides whole numbers by zero or less")
    if first.values is None or second.values is None or node.op not in _COMPUTED:
        return [Fact(first.kind, dims)], 0
    return [Fact(first.kind, dims, _pairwise(_COMPUTED[node.op], first, second, dims))], 0


def comparison(node: Node, facts: Facts) -> Found:
    """Two tensors to true and false."""
    first, second = given(facts, 0, "input"), given(facts, 1, "input")
    if first.kind != second.kind:
        raise ValueError("its inputs are of two number formats")
    dims = broadcast(first.dims, second.dims)
    if node.op != "Equal" or first.values is None or second.values is None:
        return [Fact(BOOL, dims)], 0
    return [Fact(BOOL, dims, _pairwise(_equal, first, second, dims))], 0


def choice(_: Node, facts: Facts) -> Found:
    """Numbers of two tensors, by a third."""
    which = given(facts, 0, "condition")
    first, second = given(facts, 1, "input"), given(facts, 2, "input")
    if which.kind != BOOL or first.kind != second.kind:
        raise ValueError("its inputs are of other number formats")
    dims = broadcast(which.dims, broadcast(first.dims, second.dims))
    size = count(dims)
    spread = [_spread(fact, size) for fact in (which, first, second)]
    if any(values is None for values in spread):
        return [Fact(first.kind, dims)], 0
    conditions, left, right = (values or () for values in spread)
    picked = tuple(a if c else b for c, a, b in zip(conditions, left, right, strict=True))
    return [Fact(first.kind, dims, picked)], 0


def logic(node: Node, facts: Facts) -> Found:
    """True and false to true and false."""
    if any(fact is not None and fact.kind != BOOL for fact in facts):
        raise ValueError("its inputs are no truths")
    dims = given(facts, 0, "input").dims
    return [Fact(BOOL, broadcast(dims, facts[1].dims) if len(facts) > 1 and facts[1] else dims)], 0


def _equal(first: int, second: int) -> bool | None:
    for one, other in ((first, second), (second, first)):
        if grows(one):
            return False if other < 0 and not grows(other) else None
    return first == second


def _added(first: int, second: int) -> int | None:
    return _rising(int.__add__, first, second)


def _multiplied(first: int, second: int) -> int | None:
    return _rising(int.__mul__, first, second)


def _divided(first: int, second: int) -> int | None:
    return _rising(int.__floordiv__, first, second) if first >= 0 else None


def _subtracted(first: int, second: int) -> int | None:
    return None if grows(first, second) else first - second


def _rising(compute: Callable[[int, int], int], first: int, second: int) -> int | None:
    """Return a result, if it goes on rising with the text's length: no part of it may be negative then."""
    return rising(compute, first, second) if min(first, second) >= 0 or not grows(first, second) else None


_COMPUTED: dict[str, Compute] = {
    "Add": _added,
    "Sub": _subtracted,
    "Mul": _multiplied,
    "Div": _divided,
    "Min": lambda first, second: rising(min, first, second),
    "Max": lambda first, second: rising(max, first, second),
}


def _pairwise(compute: Compute, first: Fact, second: Fact, dims: tuple[int, ...]) -> tuple[int, ...] | None:
    size = count(dims)
    a, b = _spread(first, size), _spread(second, size)
    if a is None or b is None:
        return None
    found = []
    for x, y in zip(a, b, strict=True):
        value = compute(x, y)
        if value is None:
            return None
        found.append(value)
    return tuple(found)


def _spread(fact: Fact, size: int) -> tuple[int, ...] | None:
    values = fact.values
    if values is None or size > MOST_VALUES or len(values) == size:
        return values if size <= MOST_VALUES else None
    return values * size if len(values) == 1 else None
