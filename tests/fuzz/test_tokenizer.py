"""The fuzzer of tokenizers, 5,000 mutants."""

import pytest

from tests.fuzz.harness import run


@pytest.mark.slow
def test_every_mutant_of_a_tokenizer_is_refused_in_one_line_or_gives_the_right_ids() -> None:
    outcomes = run("tests.fuzz.tokenizer", seed=0, count=5000)
    assert outcomes.findings == []
    # Both happen often: the mutants reach the code behind the parser, and the checks.
    assert min(outcomes.counts["answered"], outcomes.counts["refused"]) > 500
