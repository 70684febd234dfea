import numpy as np
import pytest

from mixkd.bench.report.intervals import (
    Resampling,
    mean_interval,
    median_interval,
    median_ratio,
    quantile,
    wilson,
)

DRAWS = Resampling(500, 7)


@pytest.mark.parametrize(("share", "least"), [(0.9, 64), (0.99, 662)])
def test_quantile_is_refused_with_one_sample_too_few(share: float, least: int) -> None:
    assert quantile(np.arange(least - 1.0), share) is None
    assert quantile(np.arange(float(least)), share) is not None


def test_quantile_is_a_sample_that_was_taken() -> None:
    samples = np.arange(1.0, 101.0)
    assert quantile(samples, 0.5) == 50.0
    assert quantile(samples, 0.9) == 90.0


def test_wilson_gives_the_published_interval() -> None:
    # Newcombe (1998), table I, method 3: 81 of 263 and 0 of 20.
    first, second = wilson(81, 263), wilson(0, 20)
    assert (round(first.low, 4), round(first.high, 4)) == (0.2553, 0.3662)
    assert (second.low, round(second.high, 4)) == (0.0, 0.1611)


def test_wilson_holds_its_value_at_both_ends() -> None:
    for successes in (0, 30):
        interval = wilson(successes, 30)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_ratio_of_paired_blocks_ignores_noise_that_both_share() -> None:
    drift = np.random.default_rng(1).uniform(1, 3, (40, 1))
    slow, fast = np.full((40, 8), 12.0) * drift, np.full((40, 8), 4.0) * drift
    ratio = median_ratio(slow, fast, DRAWS)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((3, 3, 3))
    assert median_interval(slow, DRAWS).high / median_interval(slow, DRAWS).low > 1.1


def test_bootstrap_intervals_cover_what_they_claim() -> None:
    rng = np.random.default_rng(3)
    covered = [
        interval.low <= 5 <= interval.high
        for interval in (mean_interval(rng.normal(5, 1, 60), DRAWS) for _ in range(200))
    ]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_bootstrap_is_the_same_for_the_same_seed() -> None:
    values = np.random.default_rng(4).normal(0, 1, 50)
    assert mean_interval(values, DRAWS) == mean_interval(values, DRAWS)
