"""Turns texts into the arrays that an ONNX graph takes.

The time and memory for a text are bounded by the maximum length, however long the text is; see `Encoder` for
what is not read of a long text.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import BertNormalizer, Lowercase

from mixkd.errors import BundleError
from mixkd.runtime.layout import longest_first
from mixkd.runtime.manifest import MAX_LENGTH
from mixkd.runtime.tokenizer import LoadedTokenizer, read_tokenizer

Text: TypeAlias = str | tuple[str, str]
"""One text, or a pair of texts."""

_WINDOW_CHARACTERS = 4096
"""The most characters tokenised at once; normalization may turn one character into 18 (U+FDFA)."""

_READ_CHARACTERS = 16_384
"""A text is read up to at least this many characters, however small the maximum length is."""

_CHARACTERS_PER_TOKEN = 8
"""Times the maximum length: the characters tokenised at once (up to a window), and the characters read (from
`_READ_CHARACTERS` on). English text has 4 to 5 characters per token."""

_GROWTH = 4
"""How many times as large the next window is where none of its words ends, as in Chinese or in noise."""

_LOOK_AHEAD = 256
"""Characters behind a token that may still change it; WordPiece gives up on words of over 100 characters."""

_GAP = r"\w[.,;:!?]?(?= \w)"
"""The end of a word before a single space and another word: the tokens on one side don't depend on the other,
if the pre-tokenizer splits there."""

_TWO_WORDS = "aa bb"


class Tokens(NamedTuple):
    """One tokenised text or pair.

    Attributes:
        ids: T token ids, special tokens included.
        type_ids: For each token, the text of a pair that it belongs to (0 or 1); None stands for zeros.
        truncated: Whether tokens or characters of the text were left out.
    """

    ids: list[int]
    type_ids: list[int] | None
    truncated: bool


class Encoder:
    """A tokenizer with a maximum length and the input names of one graph.

    Attributes:
        max_length: Tokens per text, special ones included.
        inputs: The graph's input names.

    The ids are the tokenizer's own with `longest_first` truncation, with two exceptions that bound time and
    memory. First, a text is read up to 16,384 characters, or 8 times the maximum length if that is more; the
    rest counts as truncated. Second, if both texts of a pair are truncated and one of them has over 4,096
    characters (or 8 times the maximum length if that is less), an odd token goes to the text with the higher
    estimated number of tokens.

    Texts are tokenised one after the other on the calling thread: the tokenizers package's own threads would
    take every core of the host, and make a later fork unsafe. The texts of a pair are tokenised separately:
    the package's own truncation of a pair takes memory that grows with the product of their lengths
    (https://github.com/huggingface/tokenizers/issues/2035).
    """

    def __init__(self, loaded: LoadedTokenizer, *, max_length: int, inputs: Sequence[str]) -> None:
        self._path = loaded.path
        self.max_length = max_length
        self.inputs = tuple(inputs)
        self._tokenizer, self._ascii_tokenizer = loaded.tokenizer, for_ascii(loaded.tokenizer)
        self._single, self._pair, self._pad_id = loaded.single, loaded.pair, loaded.pad_id
        self._before, self._after = loaded.single.gaps
        self._room = max_length - loaded.single.special_tokens
        self._pair_room = max_length - loaded.pair.special_tokens
        typed = "token_type_ids" in inputs
        self._types_texts = typed and loaded.single.has_types
        self._types_pairs = typed and loaded.pair.has_types
        self._window = min(_WINDOW_CHARACTERS, max_length * _CHARACTERS_PER_TOKEN)
        self._read_limit = max(_READ_CHARACTERS, max_length * _CHARACTERS_PER_TOKEN)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        max_length: int,
        inputs: Sequence[str],
        contents: Mapping[str, bytes] | None = None,
    ) -> "Encoder":
        """Load the `tokenizer.json` of a folder; the pad token is read from `tokenizer_config.json`.

        Args:
            folder: The folder.
            max_length: Tokens per text, special ones included.
            inputs: The graph's input names.
            contents: The two files' bytes by name, if they were read already.

        Raises:
            BundleError: If the tokenizer can't be loaded, or the graph or the length don't suit it.
        """
        loaded = read_tokenizer(folder, contents)
        path = loaded.path
        unknown = set(inputs) - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown:
            raise BundleError(f"the graph beside {path} wants {min(unknown)!r}, which no tokenizer gives")
        special = max(loaded.single.special_tokens, loaded.pair.special_tokens)
        if not special < max_length <= MAX_LENGTH:
            raise BundleError(
                f"max_length is {max_length}: {path} adds {special} tokens to a pair, so it must be from "
                f"{special + 1} to {MAX_LENGTH}"
            )
        return cls(loaded, max_length=max_length, inputs=inputs)

    def encode(self, texts: Sequence[Text]) -> list[Tokens]:
        """Tokenise each text or pair, truncated to the maximum length; no padding."""
        return [self.encode_one(text) for text in texts]

    def encode_one(self, text: Text) -> Tokens:
        """Tokenise a text or pair, truncated to the maximum length.

        A surrogate without its partner, which no UTF-8 text can hold, is read as U+FFFD.

        Raises:
            BundleError: If the tokenizer fails on the text.
        """
        if not isinstance(text, str):
            return self._encode_pair(*text)
        if len(text) <= self._window:
            ids, truncated = self._tokenize(text).ids, False
        else:
            ids, read = self._read(text)
            truncated = read < len(text)
        if len(ids) > self._room:
            del ids[self._room :]
            truncated = True
        types = self._single.types([len(ids)]) if self._types_texts else None
        return Tokens([*self._before, *ids, *self._after], types, truncated)

    def feed(self, batch: Sequence[Tokens]) -> dict[str, NDArray[np.int64]]:
        """Return (B, T) arrays by input name, padded on the right to the longest of the batch."""
        shape = (len(batch), max(len(tokens.ids) for tokens in batch))
        ids = np.full(shape, self._pad_id, np.int64)
        mask, type_ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, tokens in enumerate(batch):
            length = len(tokens.ids)
            ids[row, :length] = tokens.ids
            mask[row, :length] = 1
            if tokens.type_ids is not None:
                type_ids[row, :length] = tokens.type_ids
        columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}
        return {name: columns[name] for name in self.inputs}

    def _encode_pair(self, first: str, second: str) -> Tokens:
        texts: list[list[int]] = []
        counts: list[float] = []
        truncated = False
        for text in (first, second):
            ids, read = self._read(text)
            texts.append(ids)
            # The number of tokens of a text that wasn't read to its end is estimated.
            counts.append(len(ids) * len(text) / read if len(ids) > self._room else len(ids))
            truncated |= read < len(text)
        for ids, most in zip(texts, longest_first(counts[0], counts[1], self._pair_room), strict=True):
            if len(ids) > most:
                del ids[most:]
                truncated = True
        types = self._pair.types(list(map(len, texts))) if self._types_pairs else None
        return Tokens(self._pair.join(texts), types, truncated)

    def _read(self, text: str) -> tuple[list[int], int]:
        """Return the ids of a text's first tokens, enough to fill a feed and tell if there are more.

        Returns:
            The ids, and the number of characters they were made from.
        """
        ids: list[int] = []
        start, size, limit = 0, self._window, min(len(text), self._read_limit)
        while start + size < limit:
            stop = start + size
            gap = re.compile(_GAP).search(text, start + size // 2, stop)
            if gap and self._splits_at_gaps:
                ids += self._tokenize(text[start : gap.end()]).ids
                start, size = gap.end(), self._window
                if len(ids) > self._room:
                    return ids, start
                continue
            # No word ends in this window: with more text its last tokens might be different ones.
            encoding = self._tokenize(text[start:stop])
            found, last = encoding.ids, self._room - len(ids)
            if last < len(found):
                span = encoding.token_to_chars(last)
                if span is not None and span[1] + _LOOK_AHEAD <= size:
                    return ids + found[: last + 1], start + max(1, span[1])
            size *= _GROWTH
        return ids + self._tokenize(text[start:limit]).ids, limit

    @cached_property
    def _splits_at_gaps(self) -> bool:
        """Whether the tokens of two words with a space between don't depend on each other."""
        added = self._tokenizer.get_added_tokens_decoder().values()
        if any(token.rstrip or " " in token.content.lstrip() for token in added):
            return False
        if self._tokenizer.pre_tokenizer is None:
            return False
        try:
            normalizer = self._tokenizer.normalizer
            words = normalizer.normalize_str(_TWO_WORDS) if normalizer else _TWO_WORDS
            (_, first), *_ = self._tokenizer.pre_tokenizer.pre_tokenize_str(words)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic of Rust code, which the text will meet too
            return False
        return bool(first == (0, _TWO_WORDS.index(" ")))

    def _tokenize(self, text: str) -> Encoding:
        plain = text.isascii() and text.isprintable()
        try:
            return (self._ascii_tokenizer if plain else self._tokenizer).encode(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # the package refuses lone surrogates, or its Rust code panicked
            return self._tokenize_any(_without_lone_surrogates(text))

    def _tokenize_any(self, text: str) -> Encoding:
        try:
            return self._tokenizer.encode(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # Without the error's message, which may quote the text.
            name = type(error).__name__
            raise BundleError(f"{self._path} fails on a text ({name}): export the bundle again") from error


def for_ascii(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer with the same ids for printable ASCII that is faster, or this one if there is none.

    BERT's normalizer goes over a text four times, for control characters, Chinese, accents and case; for
    printable ASCII, case is enough. The vocabulary is shared.
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


def _without_lone_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
