"""How fast graphs answer real texts, side by side."""

import random
import time
from collections.abc import Sequence

import numpy as np
import onnx

from mixkd.export.judge.judge import Judge
from mixkd.export.sessions import session_of

TEXTS = 40
ROUNDS = 12


def measure_latencies_ms(models: Sequence[onnx.ModelProto], judge: Judge) -> list[float]:
    """Return each graph's time for one text: the lower quartile of its rounds, the mean over texts.

    One thread; the texts are encoded beforehand. The graphs take turns in random order, text by text, so that
    a change of the machine's mood hits them all; the quartile, since other programs only ever add.
    """
    sessions = [session_of(model, threads=1, arena=True) for model in models]
    inputs = [entry.name for entry in sessions[0].get_inputs()]
    feeds = judge.feeds(inputs, TEXTS)
    taken = np.zeros((len(sessions), ROUNDS, len(feeds)))
    order = random.Random(0)
    for turn in range(-1, ROUNDS):  # the first round only warms up
        for number, feed in enumerate(feeds):
            for index in order.sample(range(len(sessions)), len(sessions)):
                sessions[index].run(["logits"], feed)  # the weights of the graph before stand in the caches
                started = time.perf_counter_ns()
                sessions[index].run(["logits"], feed)
                if turn >= 0:
                    taken[index, turn, number] = time.perf_counter_ns() - started
    return [float(value) for value in np.percentile(taken, 25, axis=1).mean(axis=1) / 1e6]
