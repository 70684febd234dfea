"""How every latency of the report is measured: what happens between two readings of the clock.

One latency is the time from a text, as an app holds it, to its logits as a numpy array: tokenization,
building the input arrays, the model. There is one clock, `time.perf_counter_ns`, read three times per text.
While a block is timed, nothing is logged, no memory is read, the garbage collector is off (it ran just
before), and no other measured process runs: the others wait on a pipe. Samples are kept unchanged; quantiles
are derived later, in `summary`.
"""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from mixkd.bench.decode import Count, Positive
from mixkd.runtime.encoding import Text

WARM_UP_CALLS = 3
"""Untimed calls per distinct input length: the first call of a length allocates memory and plans its use."""


class Subject(Protocol):
    """What is timed: a model with its tokenizer, loaded in this process."""

    def encode(self, text: Text) -> Any:
        """Return the model's input for one text; `input_length` counts its tokens."""
        ...

    def answer(self, encoded: Any) -> NDArray[Any]:
        """Return the logits of one encoded text."""
        ...

    def input_length(self, encoded: Any) -> int:
        """Return the number of tokens, special ones included."""
        ...

    def logits(self, texts: Sequence[Text]) -> NDArray[Any]:
        """Return the logits of N texts as (N, C); not timed."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """The samples of one run over some texts, in their order.

    Attributes:
        tokenize_ns: From the text to the model's input, per text.
        total_ns: From the text to the logits, per text; contains `tokenize_ns`.
        cpu_ns: Processor time of the whole process, all threads, over the block.
        energy_uj: Energy of the whole processor package meanwhile; None where the machine has no counter.
    """

    tokenize_ns: list[Count]
    total_ns: list[Positive]
    cpu_ns: Count
    energy_uj: Count | None = None

    def __post_init__(self) -> None:
        if len(self.tokenize_ns) != len(self.total_ns):
            raise ValueError(f"{len(self.tokenize_ns)} tokenize_ns for {len(self.total_ns)} total_ns")
        if any(part > whole for part, whole in zip(self.tokenize_ns, self.total_ns, strict=True)):
            raise ValueError("a tokenize_ns is larger than its total_ns")


def time_block(subject: Subject, texts: Sequence[Text]) -> Block:
    """Answer the texts one after the other, without a pause between them."""
    clock = time.perf_counter_ns
    tokenize_ns, total_ns = [0] * len(texts), [0] * len(texts)
    gc.collect()
    gc.disable()
    try:
        cpu_start = time.process_time_ns()
        for i, text in enumerate(texts):
            start = clock()
            encoded = subject.encode(text)
            encoded_at = clock()
            subject.answer(encoded)
            end = clock()
            tokenize_ns[i] = encoded_at - start
            total_ns[i] = end - start
        cpu_ns = time.process_time_ns() - cpu_start
    finally:
        gc.enable()
    return Block(tokenize_ns, total_ns, cpu_ns)


def warm_up(subject: Subject, texts: Sequence[Text]) -> int:
    """Run one text of every distinct input length a few times, untimed; return the number of lengths."""
    by_length = {subject.input_length(encoded): encoded for encoded in map(subject.encode, texts)}
    for encoded in by_length.values():
        for _ in range(WARM_UP_CALLS):
            subject.answer(encoded)
    return len(by_length)
