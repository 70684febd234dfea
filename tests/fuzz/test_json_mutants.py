"""Mutants of JSON: made again by their seed, whatever was made before, and nearly all differ."""

import json
from random import Random

from tests.fuzz.json_mutants import mutate

VALUE = {"a": [1, 2.5, "x"], "b": {"c": None, "d": [[], {}]}, "e": True}


def test_mutant_depends_on_its_seed_alone() -> None:
    first = [mutate(VALUE, Random(seed)) for seed in range(5000)]
    assert [mutate(VALUE, Random(seed)) for seed in reversed(range(5000))] == first[::-1]
    assert VALUE == {"a": [1, 2.5, "x"], "b": {"c": None, "d": [[], {}]}, "e": True}


def test_mutants_are_many_and_of_every_kind() -> None:
    made = {mutate(VALUE, Random(seed)) for seed in range(5000)}
    same = sum(mutate(VALUE, Random(seed)) == json.dumps(VALUE).encode() for seed in range(5000))
    assert len(made) > 2000
    assert same < 500
    for kind in (b"NaN", b"Infinity", b"[[[[[", b"9" * 5000, b"\\ud800", b"\xff", b"x" * 20_000):
        assert any(kind in mutant for mutant in made), kind
