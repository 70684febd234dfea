"""Runs the scenarios of one worker: offline, paced, server, growth (after MLPerf)."""

from collections.abc import Callable, Sequence
from itertools import cycle, islice

import numpy as np

from mixkd.bench.config import BenchConfig
from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.report.figures import Scenarios
from mixkd.bench.report.intervals import LEAST_SAMPLES, quantile
from mixkd.runtime.encoding import Text

_SERVER_STEPS = 6
"""The rate is found to 1/64 of the rate at which texts are answered one after another."""

_MOST_ARRIVALS = 50_000
_NS_PER_MS = 1e6


def run_scenarios(
    worker: WorkerProcess,
    texts: Sequence[Text],
    config: BenchConfig,
    *,
    mean_ms: float,
    progress: Callable[[str], None],
) -> Scenarios:
    """Run every scenario on one worker while the others wait.

    Args:
        worker: The loaded worker.
        texts: The timed texts, in their order.
        config: How many samples.
        mean_ms: Its mean single-text latency; its inverse is the highest rate that is tried.
        progress: Called with each scenario's name.
    """
    progress("offline")
    offline_ns = worker.offline(texts)
    progress("paced")
    paced_texts = list(islice(cycle(texts), config.paced_samples))
    paced = worker.paced(paced_texts, gap_s=config.paced_gap_ms / 1000)
    paced_ms = np.array(paced.total_ns) / _NS_PER_MS
    progress("server")
    rate, server_ns = _highest_rate(worker, texts, config, mean_ms)
    progress("growth")
    growth = worker.growth(texts, calls=config.growth_calls, limit_s=config.growth_limit_s)
    return Scenarios(
        offline_texts_per_s=len(texts) / (offline_ns / 1e9),
        paced_gap_ms=config.paced_gap_ms,
        paced_p50_ms=float(np.median(paced_ms)),
        paced_p90_ms=quantile(paced_ms, 0.9),
        paced_cpu_ms_per_text=paced.cpu_ns / _NS_PER_MS / len(paced_ms),
        server_target_ms=config.server_target_ms,
        server_rate_per_s=rate,
        server_p99_ms=quantile(np.array(server_ns) / _NS_PER_MS, 0.99) if rate else None,
        growth_calls=growth.calls,
        growth_bytes=growth.grown_bytes,
        paced_ns=tuple(paced.total_ns),
        server_ns=tuple(server_ns),
    )


def _highest_rate(
    worker: WorkerProcess, texts: Sequence[Text], config: BenchConfig, mean_ms: float
) -> tuple[float | None, list[int]]:
    """Return the highest tried rate that keeps the p99, found by bisection, and its latencies."""
    low, high = 0.0, 1000 / mean_ms
    best: list[int] = []
    for step in range(_SERVER_STEPS):
        rate = (low + high) / 2
        count = min(max(LEAST_SAMPLES[0.99], round(rate * config.server_seconds)), _MOST_ARRIVALS)
        arriving = list(islice(cycle(texts), count))
        latencies = worker.server(arriving, rate_per_s=rate, seed=config.seed + step)
        p99_ms = quantile(np.array(latencies) / _NS_PER_MS, 0.99)
        if p99_ms is not None and p99_ms <= config.server_target_ms:
            low, best = rate, latencies
        else:
            high = rate
    return low or None, best
