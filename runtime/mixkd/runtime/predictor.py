"""Many texts through one session: sorted by length, cut into batches, answers in the texts' order."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mixkd.runtime.encoding import Encoder, Text

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Predictor:
    """A session and its encoder."""

    def __init__(self, session: "InferenceSession", encoder: Encoder) -> None:
        self._session = session
        self._encoder = encoder

    def logits(self, texts: Sequence[Text], *, max_batch_tokens: int = 2048) -> NDArray[np.float32]:
        """Return the raw outputs, (N, C), for N texts, in batches of at most `max_batch_tokens` padded."""
        encodings = self._encoder.encode(texts)
        lengths = [len(encoding.ids) for encoding in encodings]
        answers: list[NDArray[np.float32] | None] = [None] * len(encodings)
        for batch in cut_batches(lengths, max_batch_tokens):
            (outputs,) = self._session.run(["logits"], self._encoder.feed([encodings[i] for i in batch]))
            for i, row in zip(batch, outputs, strict=True):
                answers[i] = row
        return np.stack([row for row in answers if row is not None])


def cut_batches(lengths: Sequence[int], max_batch_tokens: int) -> Iterator[list[int]]:
    """Yield index lists of near lengths whose padded size stays within the budget (one text at least)."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[i] > max_batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
