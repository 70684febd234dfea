"""Texts to the arrays that an ONNX graph takes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import BertNormalizer, Lowercase

from mixkd.errors import BundleError

Text: TypeAlias = str | tuple[str, str]
"""One text, or a pair of texts."""

_LONG_TEXT_CHARACTERS = 8
"""Characters per token from which on a text is taken for longer than the maximum length."""

_LOOK_AHEAD_CHARACTERS = 256
"""How far behind a token the text may still change it; WordPiece gives up on words beyond 100 characters."""


class Tokens(NamedTuple):
    """One tokenised text.

    Attributes:
        ids: (T,) int64, special tokens included.
        type_ids: (T,) which text of a pair a token belongs to.
        truncated: Whether the text was longer than the maximum length.
    """

    ids: NDArray[np.int64]
    type_ids: NDArray[np.int64]
    truncated: bool


class Encoder:
    """A tokenizer with a maximum length and the input names of one graph.

    Attributes:
        max_length: Tokens per text, special ones included.
        inputs: The graph's input names.
        types_pairs: Whether the graph is to be told which text of a pair a token belongs to.
        types_texts: Whether a text alone has tokens of a type other than 0; of few tokenizers it has.

    Texts are tokenised one after the other on the calling thread: the tokenizers package's own threads would
    take every core of the host, and make a later fork unsafe.
    """

    def __init__(self, tokenizer: Tokenizer, *, pad_id: int, max_length: int, inputs: Sequence[str]) -> None:
        self._tokenizer, self._ascii_tokenizer = tokenizer, for_ascii(tokenizer)
        for either in (self._tokenizer, self._ascii_tokenizer):
            either.no_padding()
            either.enable_truncation(max_length, strategy="longest_first")
        self.max_length = max_length
        self.inputs = tuple(inputs)
        self.types_pairs = "token_type_ids" in inputs
        self.types_texts = self.types_pairs and any(tokenizer.encode("a").type_ids)
        self._long_text = max_length * _LONG_TEXT_CHARACTERS
        self._pad_id = pad_id

    @classmethod
    def from_folder(cls, folder: Path, *, max_length: int, inputs: Sequence[str]) -> "Encoder":
        """Load the `tokenizer.json` of a folder; the pad token is read from `tokenizer_config.json`.

        Raises:
            BundleError: If the tokenizer can't be loaded, or the graph or the length don't suit it.
        """
        path = folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the package raises bare Exception, and panics that are not even that
            raise BundleError(f"{path} can't be loaded: {error}") from error
        unknown = set(inputs) - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown:
            raise BundleError(f"the graph beside {path} wants {min(unknown)!r}, which no tokenizer gives")
        special = tokenizer.num_special_tokens_to_add(is_pair=True)
        if max_length <= special:
            raise BundleError(f"{path} adds {special} tokens to every pair: no room in {max_length}")
        return cls(tokenizer, pad_id=_pad_id(folder, tokenizer), max_length=max_length, inputs=inputs)

    def encode(self, texts: Sequence[Text]) -> list[Tokens]:
        """Tokenise each text or pair, truncated to the maximum length; no padding."""
        return [self._tokens(self.encode_one(text)) for text in texts]

    def encode_one(self, text: Text) -> Encoding:
        """Tokenise a text or pair, truncated to the maximum length.

        A surrogate without its partner, which no UTF-8 text can hold, is read as U+FFFD.
        """
        try:
            if isinstance(text, str) and len(text) <= self._long_text:
                plain = text.isascii() and text.isprintable()
                return (self._ascii_tokenizer if plain else self._tokenizer).encode(text)
            return self._tokenize_long(text)
        except TypeError:
            return self._tokenize_long(_without_lone_surrogates(text))

    def feed(self, batch: Sequence[Tokens]) -> dict[str, NDArray[np.int64]]:
        """Return (B, T) arrays by input name, padded on the right to the longest of the batch."""
        shape = (len(batch), max(len(tokens.ids) for tokens in batch))
        ids = np.full(shape, self._pad_id, np.int64)
        mask, type_ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, tokens in enumerate(batch):
            length = len(tokens.ids)
            ids[row, :length] = tokens.ids
            mask[row, :length] = 1
            type_ids[row, :length] = tokens.type_ids
        columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}
        return {name: columns[name] for name in self.inputs}

    def _tokens(self, encoding: Encoding) -> Tokens:
        ids = np.array(encoding.ids, np.int64)
        type_ids = np.array(encoding.type_ids, np.int64)
        return Tokens(ids, type_ids, len(ids) >= self.max_length and bool(encoding.overflowing))

    def _tokenize_long(self, text: Text) -> Encoding:
        if isinstance(text, str):
            return self._tokenizer.encode(self._beginning(text))
        first, second = text
        return self._tokenizer.encode(self._beginning(first), self._beginning(second))

    def _beginning(self, text: str) -> str:
        """Return as much of a long text as decides its first tokens, so that its length costs nothing.

        The tokenizer would go through all of a text, and for a pair build every combination of the parts cut
        off: gigabytes for two texts of 20 kB. (Where both texts of a pair are cut, the odd token left over
        goes to the longer of what is returned here, not to the longer of the whole.)
        """
        size = self._long_text
        while size < len(text):
            encoding = self._tokenizer.encode(text[:size], add_special_tokens=False)
            if encoding.overflowing:
                end: int = encoding.offsets[-1][1] + _LOOK_AHEAD_CHARACTERS
                if end <= size:
                    return text[:end]
            size *= 2
        return text


def for_ascii(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer that does the same to printable ASCII in less time; where there is none, this one.

    BERT's normalizer goes over a text four times, for control characters, Chinese, accents and case; of these
    printable ASCII has case alone. The vocabulary is shared.
    """
    normalizer, added = tokenizer.normalizer, tokenizer.get_added_tokens_decoder()
    special = all(token.special and not token.normalized for token in added.values())
    if not (isinstance(normalizer, BertNormalizer) and special):
        return tokenizer
    quick = Tokenizer(tokenizer.model)
    if normalizer.lowercase:
        quick.normalizer = Lowercase()
    quick.pre_tokenizer, quick.post_processor = tokenizer.pre_tokenizer, tokenizer.post_processor
    quick.add_special_tokens([added[number] for number in sorted(added)])
    return quick if quick.get_added_tokens_decoder().keys() == added.keys() else tokenizer


def _without_lone_surrogates(text: Text) -> Text:
    if isinstance(text, str):
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    joined = [part.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for part in text]
    return joined[0], joined[1]


def _pad_id(folder: Path, tokenizer: Tokenizer) -> int:
    path = folder / "tokenizer_config.json"
    try:
        token = json.loads(path.read_text(encoding="utf-8")).get("pad_token")
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"{path} can't be read ({error}): export the bundle again") from error
    if isinstance(token, dict):
        token = token.get("content")
    return (tokenizer.token_to_id(token) if isinstance(token, str) else None) or 0
