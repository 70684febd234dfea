"""The fuzzers of graphs and manifests, 5,000 mutants each, and the graphs made by hand."""

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.fuzz.hand_made import NAMES
from tests.fuzz.harness import Outcome, fuzz

BLOCK = 43
MUTANTS, PART = 5_000, 1_250
"""In parts, so that tests that run side by side end together."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MUTANTS, PART))
@pytest.mark.parametrize("target", ["onnx", "manifest"])
def test_every_mutant_is_refused_in_one_line_or_answers(target: str, first: int) -> None:
    tally = fuzz(TARGETS[target], range(first, first + PART), seconds=60)
    assert not tally.bad, str(tally)
    # Both happen often: mutants reach onnxruntime, and the checks before it.
    assert min(tally.counts[Outcome.RIGHT], tally.counts[Outcome.REFUSED]) > 50


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(NAMES), BLOCK))
def test_every_graph_made_by_hand_is_refused_in_one_line_or_answers(first: int) -> None:
    numbers = range(first, min(first + BLOCK, len(NAMES)))
    tally = fuzz(TARGETS["hand-made"], numbers, seconds=60)
    assert not tally.bad, f"{[NAMES[number] for number, *_ in tally.bad]} {tally}"
    assert tally.counts.total() == len(numbers)
    assert tally.counts[Outcome.REFUSED] > len(numbers) / 2
