"""What is known of a tensor before a graph runs: kind, greatest size, and a few numbers themselves."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from mixkd.runtime.graph.model import BOOL, INT32, INT64, MAX_RANK, Node, Tensor

MOST_VALUES = 64
"""Numbers of one tensor that are followed: shapes have a few."""

INTEGERS = frozenset({INT32, INT64})


class Growing(int):
    """A number that hangs on the text's length: at most this much.

    Attributes:
        least: What it is at least, from 0 on; of the length itself 1.
    """

    least: int

    def __new__(cls, most: int, least: int = 0) -> "Growing":
        """Make one from its bounds."""
        made = super().__new__(cls, most)
        made.least = least
        return made


class Fact(NamedTuple):
    """A tensor as far as it is known.

    Attributes:
        kind: Its number format.
        dims: Its shape; of a text shorter than the longest, no dimension is larger.
        values: The whole numbers in it, where they are few and follow from shapes and constants alone.
    """

    kind: int
    dims: tuple[int, ...]
    values: tuple[int, ...] | None = None


Facts: TypeAlias = list[Fact | None]
"""The inputs of a node; None for one that is left out."""

Rule: TypeAlias = Callable[[Node, Facts], tuple[list[Fact], int]]
"""Returns the outputs, and how many multiplications they take beyond one per number."""


def fact_of(tensor: Tensor) -> Fact:
    """Return what is known of constant numbers: all."""
    whole = tensor.kind in INTEGERS or tensor.kind == BOOL
    return Fact(tensor.kind, tensor.dims, tensor.small if whole else None)


def grows(*values: int) -> bool:
    """Tell whether any of the numbers hangs on the text's length."""
    return Growing in map(type, values)


def least(number: int) -> int:
    """Return what a number is at least."""
    return number.least if isinstance(number, Growing) else number


def rising(compute: Callable[..., int], *numbers: int) -> int:
    """Return what is computed of numbers that it rises with, and hangs on the text's length where they do."""
    most = compute(*numbers)
    return Growing(most, compute(*map(least, numbers))) if grows(*numbers) else most


def count(dims: tuple[int, ...]) -> int:
    """Return how many numbers a shape holds."""
    product = 1
    for size in dims:
        product *= size
    return product


def broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of two tensors combined number by number."""
    if first == second or not second:
        return first
    if not first:
        return second
    if len(first) < len(second):
        first, second = second, first
    rest = len(first) - len(second)
    return first[:rest] + tuple(
        a if b == 1 or a > b else b for a, b in zip(first[rest:], second, strict=True)
    )


def given(facts: Facts, index: int, what: str) -> Fact:
    """Return an input that must be there.

    Raises:
        ValueError: If it is left out.
    """
    found = facts[index] if index < len(facts) else None
    if found is None:
        raise ValueError(f"its {what} is left out")
    return found


def values_of(fact: Fact, what: str, *, fixed: bool = True) -> tuple[int, ...]:
    """Return the numbers of a tensor that must be known.

    Args:
        fact: The tensor.
        what: What it is, for the error.
        fixed: Whether they may not hang on the text's length.

    Raises:
        ValueError: If they aren't: how large the result gets could not be told.
    """
    if fact.values is None or (fixed and grows(*fact.values)):
        raise ValueError(f"its {what} can't be told before it runs")
    return fact.values


def axis_of(value: Any, rank: int) -> int:
    """Return an axis counted from the first.

    Raises:
        ValueError: If there is no such axis.
    """
    if not isinstance(value, int) or not -rank <= value < rank:
        raise ValueError(f"axis {value!r} of {rank}")
    return value % rank


def ranked(dims: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape, if it has no more dimensions than any tensor of an encoder."""
    if len(dims) > MAX_RANK:
        raise ValueError(f"more than {MAX_RANK} dimensions")
    return dims
