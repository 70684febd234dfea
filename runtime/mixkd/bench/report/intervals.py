"""Quantiles, given only with enough samples, and 95 % intervals."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.report.figures import Interval

Floats: TypeAlias = NDArray[np.float64]

LEAST_SAMPLES = {0.5: 1, 0.9: 64, 0.99: 662}
"""The samples MLPerf asks for before a percentile may be quoted (inference rules, early stopping)."""

_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a bootstrap draws: how often, and from which seed."""

    draws: int
    seed: int


def quantile(samples: Floats, share: float) -> float | None:
    """Return a quantile, or None where there are too few samples to quote it.

    Args:
        samples: (N,) in any unit.
        share: 0.5, 0.9 or 0.99.
    """
    if samples.size < LEAST_SAMPLES[share]:
        return None
    return float(np.quantile(samples, share, method="inverted_cdf"))


def wilson(successes: int, trials: int) -> Interval:
    """Return a share with its Wilson score interval (Wilson 1927).

    Args:
        successes: How many of the trials.
        trials: At least one.
    """
    share = successes / trials
    scale = 1 + _Z95**2 / trials
    centre = (share + _Z95**2 / (2 * trials)) / scale
    half = _Z95 / scale * math.sqrt(share * (1 - share) / trials + _Z95**2 / (4 * trials**2))
    # Rounding must not push the bounds past the value at 0 and 1.
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def median_interval(blocks: Floats, resampling: Resampling) -> Interval:
    """Return the median with a bootstrap interval over whole blocks.

    Args:
        blocks: (blocks, samples per block). Neighbours in time share their noise, so blocks are drawn.
        resampling: How to draw.
    """
    return bootstrap(blocks.shape[0], lambda drawn: float(np.median(blocks[drawn])), resampling)


def median_ratio(numerator: Floats, denominator: Floats, resampling: Resampling) -> Interval:
    """Return the ratio of two medians with a bootstrap interval over whole blocks, drawn in pairs.

    Args:
        numerator: (blocks, samples per block).
        denominator: The same shape: block i of both ran on the same texts, right after each other.
        resampling: How to draw.
    """

    def ratio(drawn: NDArray[np.int64]) -> float:
        return float(np.median(numerator[drawn]) / np.median(denominator[drawn]))

    return bootstrap(numerator.shape[0], ratio, resampling)


def mean_interval(values: Floats, resampling: Resampling) -> Interval:
    """Return the mean of (N,) values with a bootstrap interval."""
    return bootstrap(values.size, lambda drawn: float(values[drawn].mean()), resampling)


def bootstrap(
    count: int, statistic: Callable[[NDArray[np.int64]], float], resampling: Resampling
) -> Interval:
    """Return a statistic with its percentile bootstrap interval.

    Args:
        count: Units that are drawn with replacement.
        statistic: Maps drawn positions, (count,), to a number.
        resampling: How to draw.
    """
    draws = np.random.default_rng(resampling.seed).integers(0, count, (resampling.draws, count))
    values = [statistic(drawn) for drawn in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(statistic(np.arange(count)), float(low), float(high))
