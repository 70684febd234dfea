"""Texts to the arrays that an ONNX graph takes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from mixkd.errors import BundleError

Text: TypeAlias = str | tuple[str, str]
"""One text, or a pair of texts."""


class Encoder:
    """A tokenizer with a maximum length and the input names of one graph."""

    def __init__(self, tokenizer: Tokenizer, *, pad_id: int, max_length: int, inputs: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, strategy="longest_first")
        self._pad_id = pad_id
        self._inputs = tuple(inputs)

    @classmethod
    def from_folder(cls, folder: Path, *, max_length: int, inputs: Sequence[str]) -> "Encoder":
        """Load the `tokenizer.json` of a folder; the pad token is read from `tokenizer_config.json`."""
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the package raises bare Exception
            raise BundleError(f"{folder / 'tokenizer.json'} can't be loaded: {error}") from error
        return cls(tokenizer, pad_id=_pad_id(folder, tokenizer), max_length=max_length, inputs=inputs)

    def encode(self, texts: Sequence[Text]) -> list[Encoding]:
        """Tokenise each text or pair, truncated to the maximum length; no padding."""
        return self._tokenizer.encode_batch(list(texts))

    def feed(self, encodings: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
        """Return (B, T) arrays by input name, padded on the right to the longest of the batch."""
        shape = (len(encodings), max(len(e.ids) for e in encodings))
        feed = {name: np.zeros(shape, np.int64) for name in self._inputs}
        if "input_ids" in feed:
            feed["input_ids"].fill(self._pad_id)
        for row, encoding in enumerate(encodings):
            columns = {
                "input_ids": encoding.ids,
                "attention_mask": encoding.attention_mask,
                "token_type_ids": encoding.type_ids,
            }
            for name in self._inputs:
                feed[name][row, : len(encoding.ids)] = columns[name]
        return feed


def _pad_id(folder: Path, tokenizer: Tokenizer) -> int:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    token = config.get("pad_token")
    if isinstance(token, dict):
        token = token.get("content")
    return (tokenizer.token_to_id(token) if token else None) or 0
