"""The decoder of JSON from outside: the value of the type, or a `DecodeError` that says where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest

from mixkd.bench.decode import Amount, Count, DecodeError, Positive, Range, decode, read_json


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Inner:
    count: Count
    name: str | None


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...]
    numbers: list[Positive]
    colour: Colour
    shares: Mapping[str, float]
    newer: int = 7
    newest: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.many) > 2:
            raise ValueError("more than two")


GOOD: dict[str, Any] = {
    "inner": {"count": 3, "name": None},
    "many": [{"count": 0, "name": "a"}],
    "numbers": [1, 2],
    "colour": "blue",
    "shares": {"x": 1},
    "unknown": [[[]]],
}


def test_dataclass_is_read_with_its_defaults_and_without_unknown_fields() -> None:
    read = decode(Outer, GOOD)
    assert read == Outer(
        inner=Inner(count=3, name=None),
        many=(Inner(count=0, name="a"),),
        numbers=[1, 2],
        colour=Colour.BLUE,
        shares={"x": 1.0},
    )
    assert type(read.shares["x"]) is float
    assert read.colour is Colour.BLUE


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"inner": {"count": -1, "name": None}}, r"^inner\.count is -1, outside 0 to"),
        ({"inner": {"count": True, "name": None}}, r"^inner\.count is True, not an integer$"),
        ({"inner": {"count": 2**63, "name": None}}, r"^inner\.count is a huge integer, outside"),
        ({"inner": {"count": 10**4000, "name": None}}, r"^inner\.count is a huge integer, outside"),
        ({"inner": {"count": 1.0, "name": None}}, r"^inner\.count is 1\.0, not an integer$"),
        ({"inner": {"count": 1, "name": 5}}, r"^inner\.name is 5, not a text$"),
        ({"inner": {"count": 1}}, r"^inner has no name$"),
        ({"inner": None}, r"^inner is None, not an object$"),
        ({"many": {"count": 1}}, r"^many is an object, not a list$"),
        ({"many": [{"count": 1, "name": "a"}, []]}, r"^many\[1\] is a list, not an object$"),
        ({"many": [{"count": 1, "name": "a"}] * 3}, r"^more than two$"),
        ({"numbers": [1, 0]}, r"^numbers\[1\] is 0, outside 1 to"),
        ({"numbers": "12"}, r"^numbers is '12', not a list$"),
        ({"colour": "green"}, r"^colour is 'green', none of red, blue$"),
        ({"colour": ["red"]}, r"^colour is a list, none of red, blue$"),
        ({"shares": {"x": float("nan")}}, r"^shares\['x'\] is nan, outside"),
        ({"shares": {"x": float("inf")}}, r"^shares\['x'\] is inf, outside"),
        ({"shares": {"x": "1"}}, r"^shares\['x'\] is '1', not a number$"),
        ({"shares": {"\x1b" * 90: None}}, r"^shares\['(\\x1b)+"),
        ({"newer": None}, r"^newer is None, not an integer$"),
        ({"newest": {"a": "x" * 10_001}}, r"^the length of newest\['a'\] is 10001, outside"),
    ],
)
def test_what_the_types_do_not_allow_is_refused_where_it_stands(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DecodeError, match=said) as caught:
        decode(Outer, GOOD | fields)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [5, 5.0, 0])
def test_amounts_may_be_written_as_integers(value: float) -> None:
    assert decode(Amount, value) == value


def test_length_of_a_text_may_be_given() -> None:
    long = "x" * 20_000
    assert decode(Annotated[str, Range(0, 20_000)], long) == long


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"NaN", "NaN is no number in JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number in JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"\xff", "not JSON"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[] []", "not JSON"),
    ],
)
def test_text_that_is_no_json_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        read_json(text)


def test_number_beyond_a_float_is_no_finite_number() -> None:
    with pytest.raises(DecodeError, match="inf, outside"):
        decode(float, read_json(b"1e999"))
