"""A student or teacher outside a bundle: in PyTorch, and as an fp32 graph."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from mixkd.compress.checkpoints import input_names, load_classifier, load_tokenizer, most_tokens
from mixkd.export.convert import convert
from mixkd.export.dead_heads import without_dead_heads
from mixkd.export.graph.rewrite import rewrite
from mixkd.outputs import clear_write_errors
from mixkd.runtime.encoding import Text
from mixkd.runtime.predictor import BATCH_TOKENS, cut_batches


class TorchModel:
    """A Hugging Face folder in PyTorch at its fastest: evaluation mode, SDPA, no gradients."""

    def __init__(self, folder: Path, *, threads: int | None = None, max_length: int = 128) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.module = load_classifier(Path(folder), attention="sdpa")
        self._tokenizer = load_tokenizer(Path(folder))
        self._max_length = max_length
        # Read once: the bench times `encode`. Some tokenizers make segment ids for models that take none.
        self._inputs = inspect.signature(self.module.forward).parameters.keys()

    def encode(self, texts: Sequence[Text]) -> dict[str, Any]:
        """Tokenise texts or pairs into (B, T) tensors by input name, padded to the longest."""
        first = [text if isinstance(text, str) else text[0] for text in texts]
        second = None if all(isinstance(text, str) for text in texts) else [text[1] for text in texts]
        encoded = self._tokenizer(
            first,
            second,
            truncation="longest_first",
            max_length=self._max_length,
            padding=len(texts) > 1,
            return_tensors="pt",
        )
        return {name: tensor for name, tensor in encoded.items() if name in self._inputs}

    def run(self, encoded: dict[str, Any]) -> NDArray[np.float32]:
        """Return the logits, (B, C), of what `encode` returned."""
        with torch.inference_mode():
            return np.asarray(self.module(**encoded).logits.numpy(), np.float32)

    def logits(self, texts: Sequence[Text], *, max_batch_tokens: int = BATCH_TOKENS) -> NDArray[np.float32]:
        """Return the logits, (N, C), of N texts, in batches of similar lengths."""
        lengths = [self.encode([text])["input_ids"].shape[1] for text in texts]
        answers: list[NDArray[np.float32] | None] = [None] * len(texts)
        for batch in cut_batches(lengths, max_batch_tokens):
            for i, row in zip(batch, self.run(self.encode([texts[i] for i in batch])), strict=True):
                answers[i] = row
        return np.stack([row for row in answers if row is not None])


def export_fp32(model: Path, onnx_file: Path) -> None:
    """Write the fp32 graph of any teacher or student folder, with the rewrites of a bundle.

    Raises:
        ModelError: If the folder is no classifier, or can't be exported.
        OutputError: If the file can't be written.
    """
    loaded = load_classifier(model, attention="eager")
    inputs, longest = input_names(loaded, load_tokenizer(model)), most_tokens(loaded)
    graph, _ = rewrite(convert(without_dead_heads(loaded), inputs, max_length=longest), max_length=longest)
    with clear_write_errors(onnx_file):
        onnx_file.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(graph, onnx_file)
