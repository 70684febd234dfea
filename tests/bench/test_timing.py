import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.worker.timing import WARM_UP_CALLS, time_block, warm_up
from mixkd.runtime.encoding import Text


class SleepingSubject:
    """Takes at least 2 ms to encode and 5 ms to answer, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answered: list[int] = []

    def encode(self, text: Text) -> int:
        time.sleep(0.002)
        return len(text)

    def answer(self, encoded: Any) -> NDArray[Any]:
        time.sleep(0.005)
        self.answered.append(encoded)
        return np.zeros(3)

    def input_length(self, encoded: Any) -> int:
        return int(encoded)

    def logits(self, texts: Sequence[Text]) -> NDArray[Any]:
        return np.zeros((len(texts), 3))


def test_block_holds_both_parts_of_every_text() -> None:
    block = time_block(SleepingSubject(), ["a", "bb", "ccc"])
    assert len(block.tokenize_ns) == len(block.total_ns) == 3
    for tokenize_ns, total_ns in zip(block.tokenize_ns, block.total_ns, strict=True):
        assert tokenize_ns >= 2_000_000
        assert total_ns - tokenize_ns >= 5_000_000


def test_cpu_time_leaves_out_waiting() -> None:
    block = time_block(SleepingSubject(), ["a"] * 5)
    assert 0 < block.cpu_ns < sum(block.total_ns) / 2


def test_texts_are_answered_one_at_a_time_in_their_order() -> None:
    subject = SleepingSubject()
    time_block(subject, ["ccc", "a", "bb"])
    assert subject.answered == [3, 1, 2]


def test_warm_up_runs_every_length_and_no_more() -> None:
    subject = SleepingSubject()
    assert warm_up(subject, ["a", "bb", "b", "cc", "ddd"]) == 3
    assert sorted(subject.answered) == sorted([1, 2, 3] * WARM_UP_CALLS)
