"""The fuzzer of tokenizers, 5,000 mutants."""

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.fuzz.harness import Outcome, fuzz


@pytest.mark.slow
def test_every_mutant_is_refused_in_one_line_or_gives_the_ids_of_the_package() -> None:
    tally = fuzz(TARGETS["tokenizer"], range(5000), seconds=120)
    assert not tally.bad, str(tally)
    # Both happen often: the mutants reach the code behind the parser, and the checks.
    assert min(tally.counts[Outcome.RIGHT], tally.counts[Outcome.REFUSED]) > 500
