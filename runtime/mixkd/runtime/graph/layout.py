"""Operators that move, repeat or select numbers, and those that make tensors of a shape."""

from mixkd.runtime.graph.facts import (
    INTEGERS,
    MOST_VALUES,
    Fact,
    Facts,
    Growing,
    axis_of,
    broadcast,
    count,
    fact_of,
    given,
    grows,
    least,
    ranked,
    rising,
    values_of,
)
from mixkd.runtime.graph.model import INT64, Node, Tensor

Found = tuple[list[Fact], int]


def shape(node: Node, facts: Facts) -> Found:
    """The dimensions of a tensor, or some of them."""
    dims = given(facts, 0, "input").dims
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(dims))
    if not isinstance(start, int) or not isinstance(end, int):
        raise ValueError("it has no range")
    found = dims[start:end]
    return [Fact(INT64, (len(found),), found)], 0


def constant(node: Node, _: Facts) -> Found:
    """Numbers that stand in the node."""
    value = node.attributes.get("value")
    if not isinstance(value, Tensor):
        raise ValueError("its value is no tensor")
    return [fact_of(value)], 0


def constant_of_shape(node: Node, facts: Facts) -> Found:
    """One number, as often as a shape says."""
    dims = ranked(values_of(given(facts, 0, "shape"), "size", fixed=False))
    value = node.attributes.get("value")
    if not isinstance(value, Tensor) or value.count != 1 or min(dims, default=0) < 0:
        raise ValueError("its value is not one number, or its shape is none")
    one, size = fact_of(value), count(dims)
    followed = one.values is not None and size <= MOST_VALUES and not grows(*dims)
    values = (one.values or ()) * size if followed else None
    return [Fact(one.kind, dims, values)], 0


def expand(_: Node, facts: Facts) -> Found:
    """A tensor repeated up to a shape."""
    first, wanted = given(facts, 0, "input"), given(facts, 1, "shape")
    target = values_of(wanted, "size", fixed=False)
    dims = ranked(broadcast(first.dims, target))
    return [_repeated(first, dims)], 0


def tile(_: Node, facts: Facts) -> Found:
    """A tensor repeated along its axes."""
    first = given(facts, 0, "input")
    times = values_of(given(facts, 1, "repeats"), "size", fixed=False)
    if len(times) != len(first.dims) or min(times, default=0) < 0:
        raise ValueError("it repeats other axes than there are")
    dims = tuple(rising(int.__mul__, d, t) for d, t in zip(first.dims, times, strict=True))
    return [Fact(first.kind, dims)], 0


def numbers_in_a_row(_: Node, facts: Facts) -> Found:
    """Numbers from a first to a last in equal steps."""
    first, last, step = (given(facts, i, what) for i, what in enumerate(("start", "end", "step")))
    (start,), (end,), (by,) = (
        values_of(first, "size"),
        values_of(last, "size", fixed=False),
        values_of(step, "size"),
    )
    if by < 1 or not first.kind == last.kind == step.kind:
        raise ValueError("its steps are none")
    return [Fact(first.kind, (rising(lambda end: max(0, -((start - end) // by)), end),))], 0


def concat(node: Node, facts: Facts) -> Found:
    """Tensors one after the other along an axis."""
    parts = [given(facts, i, "input") for i in range(len(facts))]
    dims = list(parts[0].dims)
    axis = axis_of(node.attributes.get("axis"), len(dims))
    if any(len(part.dims) != len(dims) or part.kind != parts[0].kind for part in parts):
        raise ValueError("its inputs have other shapes or number formats")
    sizes = [part.dims[axis] for part in parts]
    dims[axis] = rising(lambda *parts: sum(parts), *sizes)
    values: tuple[int, ...] | None = ()
    for part in parts:
        values = None if values is None or part.values is None else values + part.values
    if len(dims) != 1 or (values is not None and len(values) > MOST_VALUES):
        values = None
    return [Fact(parts[0].kind, tuple(dims), values)], 0


def reshape(node: Node, facts: Facts) -> Found:
    """The same numbers in another shape."""
    first = given(facts, 0, "input")
    target = list(values_of(given(facts, 1, "shape"), "shape", fixed=False))
    size = count(first.dims)
    if not node.attributes.get("allowzero"):
        target = [first.dims[i] if d == 0 and i < len(first.dims) else d for i, d in enumerate(target)]
    if min(target, default=0) < -1 or target.count(-1) > 1:
        raise ValueError("its shape is none")
    if -1 in target:
        target[target.index(-1)] = _rest(first.dims, target)
    dims = ranked(tuple(target))
    return [first._replace(dims=dims) if count(dims) == size else Fact(first.kind, dims)], 0


def flatten(node: Node, facts: Facts) -> Found:
    """The same numbers in two axes."""
    first = given(facts, 0, "input")
    at = node.attributes.get("axis", 1)
    if not isinstance(at, int) or not 0 <= at <= len(first.dims):
        raise ValueError("its axis is none")
    dims = tuple(rising(lambda *part: count(part), *part) for part in (first.dims[:at], first.dims[at:]))
    return [first._replace(dims=dims)], 0


def slice_(_: Node, facts: Facts) -> Found:
    """A stretch of a tensor."""
    first = given(facts, 0, "input")
    starts, ends = given(facts, 1, "start"), given(facts, 2, "end")
    amount = count(starts.dims)
    axes = _or(facts, 3, tuple(range(amount)))
    steps = _or(facts, 4, (1,) * amount)
    if not len(axes) == len(steps) == amount == count(ends.dims) or 0 in steps:
        raise ValueError("its stretch is none")
    dims = list(first.dims)
    for i, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        at = axis_of(axis, len(dims))
        start, end = (None if fact.values is None else fact.values[i] for fact in (starts, ends))
        dims[at] = _stretch(dims[at], start, end, step)
    values = None
    if first.values is not None and amount == 1 and starts.values is not None and ends.values is not None:
        ((start,), (end,)) = (starts.values, ends.values)
        if len(dims) == 1 and not grows(start, end, *first.dims):
            values = first.values[start : end : steps[0]]
            dims = [len(values)]
    return [Fact(first.kind, tuple(dims), values)], 0


def split(node: Node, facts: Facts) -> Found:
    """A tensor cut into parts along an axis."""
    first, parts = given(facts, 0, "input"), len(node.outputs)
    axis = axis_of(node.attributes.get("axis", 0), len(first.dims))
    whole = first.dims[axis]
    largest = -(-whole // parts)
    if grows(whole) or whole % parts:
        largest = Growing(largest, max(0, least(whole) - -(-least(whole) // parts) * (parts - 1)))
    sizes = _or(facts, 1, (largest,) * parts)
    if len(sizes) != parts or min(sizes) < 0:
        raise ValueError("its parts are none")
    before, after = first.dims[:axis], first.dims[axis + 1 :]
    return [Fact(first.kind, (*before, size, *after)) for size in sizes], 0


def squeeze(_: Node, facts: Facts) -> Found:
    """A tensor without some axes of one."""
    first = given(facts, 0, "input")
    gone = {axis_of(axis, len(first.dims)) for axis in values_of(given(facts, 1, "axes"), "axes")}
    return [first._replace(dims=tuple(d for i, d in enumerate(first.dims) if i not in gone))], 0


def unsqueeze(_: Node, facts: Facts) -> Found:
    """A tensor with more axes of one."""
    first, axes = given(facts, 0, "input"), values_of(given(facts, 1, "axes"), "axes")
    rank = len(first.dims) + len(axes)
    new = {axis_of(axis, rank) for axis in axes}
    rest = iter(first.dims)
    if len(new) != len(axes):
        raise ValueError("an axis stands twice")
    return [first._replace(dims=ranked(tuple(1 if i in new else next(rest) for i in range(rank))))], 0


def transpose(node: Node, facts: Facts) -> Found:
    """A tensor with its axes in another order."""
    first = given(facts, 0, "input")
    order = node.attributes.get("perm", tuple(reversed(range(len(first.dims)))))
    if not isinstance(order, tuple) or sorted(order) != list(range(len(first.dims))):
        raise ValueError("its order of axes is none")
    return [Fact(first.kind, tuple(first.dims[i] for i in order))], 0


def gather(node: Node, facts: Facts) -> Found:
    """Rows of a tensor, by their numbers."""
    first, rows = given(facts, 0, "input"), given(facts, 1, "rows")
    axis = axis_of(node.attributes.get("axis", 0), len(first.dims))
    if rows.kind not in INTEGERS:
        raise ValueError("its rows are no whole numbers")
    dims = ranked(first.dims[:axis] + rows.dims + first.dims[axis + 1 :])
    values = None
    if (
        first.values is not None
        and rows.values is not None
        and len(first.dims) == 1
        and not grows(*rows.values)
    ):
        size = len(first.values)
        values = tuple(first.values[axis_of(row, size)] for row in rows.values)
    return [Fact(first.kind, dims, values)], 0


def gather_elements(node: Node, facts: Facts) -> Found:
    """Single numbers of a tensor, by their places along an axis."""
    first, places = given(facts, 0, "input"), given(facts, 1, "places")
    axis_of(node.attributes.get("axis", 0), len(first.dims))
    if places.kind not in INTEGERS or len(places.dims) != len(first.dims):
        raise ValueError("its places are no whole numbers")
    return [Fact(first.kind, places.dims)], 0


def _repeated(fact: Fact, dims: tuple[int, ...]) -> Fact:
    size = count(dims)
    if fact.values is not None and (
        size == len(fact.values) or (len(fact.values) == 1 and size <= MOST_VALUES)
    ):
        return fact._replace(dims=dims, values=fact.values * (size // max(1, len(fact.values))))
    return Fact(fact.kind, dims)


def _or(facts: Facts, index: int, default: tuple[int, ...]) -> tuple[int, ...]:
    found = facts[index] if index < len(facts) else None
    return default if found is None else values_of(found, "axes")


def _rest(dims: tuple[int, ...], target: list[int]) -> int:
    """Return the size that makes a shape as large as another; what hangs on the length must stand in both."""
    left, asked = list(dims), [size for size in target if size != -1]
    for size in list(asked):
        # The very same number, and not one that is only as large for the longest text.
        found = next((i for i, other in enumerate(left) if other is size), None)
        if found is not None and grows(size):
            asked.remove(size)
            del left[found]
    if grows(*asked):
        raise ValueError("its shape can't be told before it runs")
    rest = count(tuple(asked))
    return rising(lambda *sizes: -(-count(sizes) // rest) if rest else 0, *left)


def _stretch(size: int, start: int | None, end: int | None, step: int) -> int:
    """Return how long a slice is; where it can't be told for every text, as long as its axis, or empty."""
    if step < 0 or end is None:
        return Growing(size)

    def length(size: int, end: int) -> int:
        return max(0, -((_within(start or 0, size) - _within(end, size)) // step))

    if start is None or grows(start) or (start < 0 <= end and grows(size)):
        start = 0
        return Growing(length(size, end))
    return rising(length, size, end)


def _within(position: int, size: int) -> int:
    return min(size, max(0, position + size if position < 0 else position))
