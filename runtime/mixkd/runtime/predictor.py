"""Many texts through one session, in batches of similar lengths; the answers keep the texts' order."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import BundleError, DeadlineError, first_line
from mixkd.runtime.encoding import Encoder, Text, Tokens
from mixkd.runtime.manifest import LOGITS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WINDOW = 1024
"""Texts that are tokenised and sorted by length together; more would only cost memory."""

BATCH_TOKENS = 2048
"""Tokens of a batch, padding included, where there is no reason for another size."""

ALONE = 1
"""The batch size that answers each text alone: a dynamically quantized graph scales its activations over the
whole batch, so that an int8 answer in a batch depends on its neighbours."""


class Predictor:
    """A session, its encoder, and the name of the output to read."""

    def __init__(self, session: "InferenceSession", encoder: Encoder, *, output: str = LOGITS) -> None:
        self._session = session
        self._encoder = encoder
        self._output = output

    def outputs(self, texts: Sequence[Text], *, max_batch_tokens: int = BATCH_TOKENS) -> NDArray[np.float32]:
        """Return the outputs, (N, C), for N texts, in batches of at most `max_batch_tokens` with padding.

        Raises:
            BundleError: If the graph fails.
        """
        windows = [
            self.answer(texts[start : start + WINDOW], max_batch_tokens=max_batch_tokens)[0]
            for start in range(0, max(1, len(texts)), WINDOW)
        ]
        return np.concatenate(windows)

    def answer(
        self, texts: Sequence[Text], *, max_batch_tokens: int
    ) -> tuple[NDArray[np.float32], list[bool]]:
        """Return the outputs, (N, C), and whether each text was truncated; all N are held at once."""
        encoded = self._encoder.encode(texts)
        lengths = [len(tokens.ids) for tokens in encoded]
        answers: NDArray[np.float32] | None = None
        for batch in cut_batches(lengths, max_batch_tokens):
            outputs = self._run([encoded[i] for i in batch])
            if answers is None:
                answers = np.empty((len(encoded), outputs.shape[1]), np.float32)
            answers[batch] = outputs
        if answers is None:
            widths = {entry.name: entry.shape[1] for entry in self._session.get_outputs()}
            answers = np.empty((0, widths[self._output]), np.float32)
        return answers, [tokens.truncated for tokens in encoded]

    def _run(self, batch: Sequence[Tokens]) -> NDArray[np.float32]:
        try:
            (outputs,) = self._session.run([self._output], self._encoder.feed(batch))
        except DeadlineError:
            raise
        except Exception as error:  # onnxruntime's own exceptions share no base
            raise BundleError(
                f"the graph can't answer, export the bundle again: {first_line(error)}"
            ) from error
        return outputs  # type: ignore[no-any-return]  # onnxruntime has no type information


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
