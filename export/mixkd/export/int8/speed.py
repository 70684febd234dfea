"""The latency of several graphs on real texts, measured together."""

import random
import time
from collections.abc import Sequence

import numpy as np
import onnx

from mixkd.export.judge.judge import Judge
from mixkd.export.sessions import session_of

TEXTS = 40
ROUNDS = 12
"""Timed calls per text and graph; 12 rounds of 40 texts take a few seconds for a small encoder."""


def measure_latencies_ms(models: Sequence[onnx.ModelProto], judge: Judge) -> list[float]:
    """Return each graph's time per text in milliseconds, on one thread, without tokenization.

    The graphs take turns in random order, text by text, so that load changes affect all of them alike. Per
    text the lower quartile of the rounds counts, because other programs only slow calls down; the result is
    the mean over the texts.
    """
    sessions = [session_of(model, threads=1, arena=True) for model in models]
    inputs = [entry.name for entry in sessions[0].get_inputs()]
    feeds = judge.feeds(inputs, TEXTS)
    taken = np.zeros((len(sessions), ROUNDS, len(feeds)))
    order = random.Random(0)
    for turn in range(-1, ROUNDS):  # the first round only warms up
        for number, feed in enumerate(feeds):
            for index in order.sample(range(len(sessions)), len(sessions)):
                sessions[index].run(["logits"], feed)  # warms the caches after the previous graph
                started = time.perf_counter_ns()
                sessions[index].run(["logits"], feed)
                if turn >= 0:
                    taken[index, turn, number] = time.perf_counter_ns() - started
    return [float(value) for value in np.percentile(taken, 25, axis=1).mean(axis=1) / 1e6]
