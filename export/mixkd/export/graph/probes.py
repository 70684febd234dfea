"""The batches on which two ways to compute the same logits are compared."""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray

LONGEST_CHECKED = 128
MOST_PIECES_CHECKED = 50


def probes(model: onnx.ModelProto, *, max_length: int) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Yield random batches, with and without padding: one text and several, one token and many.

    Args:
        model: Its inputs are filled.
        max_length: Tokens of the longest text; more than 128 are not tried.
    """
    rng = np.random.default_rng(0)
    pieces = _pieces(model)
    for batch, length in ((1, 1), (2, 2), (3, 9), (2, min(max_length, LONGEST_CHECKED))):
        mask = np.ones((batch, length), np.int64)
        mask[1:, length // 2 + 1 :] = 0
        arrays = {
            "input_ids": rng.integers(1, pieces, mask.shape),
            "attention_mask": mask,
            "token_type_ids": 0 * mask,
        }
        yield {value.name: arrays[value.name] for value in model.graph.input}


def largest_difference(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the largest difference between logits, relative to the largest logit; infinity for NaN."""
    if expected.shape != found.shape or not np.isfinite([expected, found]).all():
        return float("inf")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))


def _pieces(model: onnx.ModelProto) -> int:
    # Ids below this have a row in the table of word embeddings; a trimmed table may have very few.
    rows = {tensor.name: int(tensor.dims[0]) for tensor in model.graph.initializer if tensor.dims}
    tables = [n.input[0] for n in model.graph.node if n.op_type == "Gather" and n.input[1] == "input_ids"]
    return min([MOST_PIECES_CHECKED, *(rows[table] for table in tables if table in rows)])
