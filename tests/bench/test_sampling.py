from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.bench.config import BenchConfig
from mixkd.bench.sampling import TokenCounter, draw_sample, length_buckets
from mixkd.corpus.corpus import Corpus
from mixkd.runtime import open_bundle


@pytest.fixture(scope="session")
def counter(bundle: Path) -> TokenCounter:
    return TokenCounter(open_bundle(bundle))


def test_sample_is_whole_blocks_of_the_users_own_texts(
    corpus: Corpus, config: BenchConfig, counter: TokenCounter, rows: list[str]
) -> None:
    sample = draw_sample(corpus, replace(config, samples=60), counter)
    blocks = sample.blocks(config.block)
    assert [len(block) for block in blocks] == [8] * 8
    assert {text for block in blocks for text in block} == set(rows)


def test_same_seed_draws_the_same_texts(corpus: Corpus, config: BenchConfig, counter: TokenCounter) -> None:
    assert draw_sample(corpus, config, counter) == draw_sample(corpus, config, counter)
    other = draw_sample(corpus, replace(config, seed=1), counter)
    assert other.timed != draw_sample(corpus, config, counter).timed


def test_curve_texts_have_exactly_the_length_they_stand_for(
    corpus: Corpus, config: BenchConfig, counter: TokenCounter
) -> None:
    sample = draw_sample(corpus, config, counter)
    assert {8, 16, 32} <= set(sample.curve)
    for length, texts in sample.curve.items():
        assert counter(texts) == [length] * config.curve_samples


def test_longest_text_is_on_the_curve(corpus: Corpus, config: BenchConfig, counter: TokenCounter) -> None:
    sample = draw_sample(corpus, config, counter)
    longest = max(sample.texts, key=lambda text: counter([text])[0])
    assert sample.longest_tokens == counter([longest])[0]
    assert sample.curve[sample.longest_tokens][0] in sample.texts


def test_quality_rows_limits_what_is_judged(
    corpus: Corpus, config: BenchConfig, counter: TokenCounter, rows: list[str]
) -> None:
    sample = draw_sample(corpus, replace(config, quality_rows=10), counter)
    assert len(sample.texts) == len(sample.labels) == 10
    assert sample.rows == len(rows)


def test_length_buckets_hold_every_length_once() -> None:
    assert length_buckets([3, 9, 30, 33]) == [(1, 8), (9, 16), (17, 32), (33, 64)]
    assert length_buckets([100]) == [(65, 128)]
