"""The fuzzers of the bench's files and of its devices' answers, 5,000 mutants each."""

import pytest

from tests.fuzz.harness import run


@pytest.mark.slow
@pytest.mark.parametrize("fuzzer", ["tests.fuzz.report", "tests.fuzz.replies"])
def test_every_mutant_is_refused_in_one_line_or_gives_what_can_be_true(fuzzer: str) -> None:
    outcomes = run(fuzzer, seed=0, count=5000)
    assert outcomes.findings == []
    # Both happen often: the mutants reach the code behind the parser, and the checks.
    assert min(outcomes.counts["answered"], outcomes.counts["refused"]) > 500
