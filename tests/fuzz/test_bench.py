"""The fuzzers of the bench's files and of its devices' answers, 5,000 mutants each."""

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.fuzz.harness import Outcome, fuzz


@pytest.mark.slow
@pytest.mark.parametrize("target", ["report", "replies"])
def test_every_mutant_is_refused_in_one_line_or_gives_what_can_be_true(target: str) -> None:
    # A comparison may take some 20 s, `mixkd.bench.compare` says, on an idle machine.
    tally = fuzz(TARGETS[target], range(5000), seconds=120)
    assert not tally.bad, str(tally)
    # Both happen often: the mutants reach the code behind the parser, and the checks.
    assert min(tally.counts[Outcome.RIGHT], tally.counts[Outcome.REFUSED]) > 500
