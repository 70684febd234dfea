"""Mutants of a JSON value: a few odd changes at random places of its structure, or of its text."""

import json
from copy import deepcopy
from random import Random
from typing import Any

_DEEP = "@deep@"
_HUGE = "@huge@"
_NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    0.5,
    -0.0,
    1e-320,
    1e300,
    -1e300,
    2**31,
    2**53,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
)
_NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
_TEXTS = ("", "a", "0", "NaN", "\x1b[2J\n", "\ud800", "x" * 20_000, _DEEP, _HUGE)
_OTHERS: tuple[Any, ...] = (None, True, False, [], [[]], {}, {"": None}, [0], [None])
_ODD = (*_NUMBERS, *_NOT_FINITE, *_TEXTS, *_OTHERS)


def mutate(value: Any, rng: Random) -> bytes:
    """Return the text of a changed copy of a JSON object or list; the value itself stays as it is."""
    copy = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        copy = _change_somewhere(copy, rng)
    text = json.dumps(copy).replace(f'"{_HUGE}"', "9" * 5000)
    if _DEEP in text:
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        depth = rng.choice((50, 900, 100_000))
        text = text.replace(f'"{_DEEP}"', opening * depth + "0" + closing * depth)
    data = text.encode()
    return _change_text(data, rng) if rng.random() < 0.15 else data


def _change_somewhere(root: Any, rng: Random) -> Any:
    holder: Any = None
    key: Any = None
    here = root
    # Down the tree, every child equally likely, so that long lists of numbers don't take all the changes.
    while isinstance(here, (dict, list)) and here and (holder is None or rng.random() < 0.8):
        holder, key = here, rng.choice(list(here) if isinstance(here, dict) else range(len(here)))
        here = holder[key]
    if holder is None:
        return _odd(rng)
    kind = rng.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = _of_another_type(here, rng)
    elif kind == 2:
        holder[key] = holder[rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))]
    elif kind == 3 and isinstance(holder, list):
        holder.insert(key, here)
    elif kind == 3:
        holder[rng.choice(("", "extra", "\x1b[2J", f"{key} "))] = here
    elif kind == 4 and type(here) in (int, float):
        holder[key] = rng.choice((here + 1, here - 1, -here, here * 1000, here / 3, here * 10**18))
    elif kind == 5 and isinstance(here, list):
        holder[key] = rng.choice((here[:0], here * 2, here * 50, [rng.choice(_NUMBERS)] * len(here)))
    else:
        holder[key] = _odd(rng)
    return root


def _odd(rng: Random) -> Any:
    # A copy: a later change may be made within it, and must not reach the next mutant.
    return deepcopy(rng.choice(_ODD))


def _of_another_type(value: Any, rng: Random) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    number = value if isinstance(value, (int, float)) else len(text)
    return rng.choice(
        (text, number, float(min(number, 10**300)), [value], {"value": value}, bool(value), None)
    )


def _change_text(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.choice((1, 1, 4, 100)))
    return rng.choice(
        (
            data[:at],
            data[at:],
            data[:at] + data[to:],
            data[:at] + rng.randbytes(to - at) + data[to:],
            data[:at]
            + rng.choice((b"\xff", b"\0", b"NaN", b"1e999", b",", b"}", b'"', b"\\ud800"))
            + data[at:],
            data[:at] + data[at:to] * 3 + data[to:],
        )
    )
