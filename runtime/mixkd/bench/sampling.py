"""Which texts are timed: the user's own, in their own mix of lengths, drawn with a seed."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from tokenizers import Tokenizer

from mixkd.bench.config import BenchConfig
from mixkd.corpus.corpus import Corpus, Label
from mixkd.errors import DataError
from mixkd.runtime.encoding import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The texts of one measurement.

    Attributes:
        split: The split they come from.
        rows: Rows of the split.
        texts: The judged texts, in the split's order; (N,).
        labels: Their labels; (N,).
        timed: Positions in `texts` of the timed texts, in the order they are timed, a whole number of blocks.
        lengths: Tokens of each judged text after truncation; (N,).
        curve: Texts of one length each, by their length in tokens; the longest text of the split too.
        longest_tokens: The length of the split's longest text after truncation.
    """

    split: str
    rows: int
    texts: tuple[Text, ...]
    labels: tuple[Label, ...]
    timed: tuple[int, ...]
    lengths: tuple[int, ...]
    curve: dict[int, tuple[Text, ...]]
    longest_tokens: int

    def blocks(self, size: int) -> list[list[Text]]:
        """Return the timed texts cut into blocks."""
        texts = [self.texts[i] for i in self.timed]
        return [texts[i : i + size] for i in range(0, len(texts), size)]

    def first_timed(self, count: int) -> tuple[int, ...]:
        """Return the positions of the first texts that were timed; they begin again where they end."""
        return tuple(islice(cycle(self.timed), count))


class TokenCounter:
    """Counts tokens with the bundle's tokenizer, as the model sees them."""

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.max_length = max_length

    def __call__(self, texts: Iterable[Text]) -> list[int]:
        """Return the tokens of each text, special ones included, cut at the maximum length."""
        encodings = self._tokenizer.encode_batch(list(texts))
        return [min(len(encoding.ids), self.max_length) for encoding in encodings]


def draw_sample(corpus: Corpus, config: BenchConfig, count_tokens: TokenCounter) -> Sample:
    """Read a split and choose what is timed and what is judged.

    Raises:
        DataError: If the split has no text.
    """
    split = config.split or corpus.evaluation_split()
    examples = list(corpus.read(split))
    rng = random.Random(config.seed)
    rows = len(examples)
    if config.quality_rows is not None and config.quality_rows < rows:
        examples = [examples[i] for i in sorted(rng.sample(range(rows), config.quality_rows))]
    texts: list[Text] = [e.text if e.text2 is None else (e.text, e.text2) for e in examples]
    if not texts:
        raise DataError(f"{corpus.name} has no text in its {split} split: nothing can be timed")
    lengths = count_tokens(texts)
    longest = max(range(len(texts)), key=lengths.__getitem__)
    curve = _curve(texts, count_tokens, config, rng) if config.curve_samples else {}
    if curve:
        curve[lengths[longest]] = (texts[longest],) * config.curve_samples
    return Sample(
        split=split,
        rows=rows,
        texts=tuple(texts),
        labels=tuple(e.label for e in examples),
        timed=_timed(len(texts), config, rng),
        lengths=tuple(lengths),
        curve=dict(sorted(curve.items())),
        longest_tokens=lengths[longest],
    )


def length_buckets(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Return the bounds, inclusive, of the buckets that hold the lengths: 1-8, 9-16, 17-32, 33-64, ..."""
    buckets, low, high = [], 1, 8
    while low <= max(lengths):
        if any(low <= length <= high for length in lengths):
            buckets.append((low, high))
        low, high = high + 1, high * 2
    return buckets


def _timed(count: int, config: BenchConfig, rng: random.Random) -> tuple[int, ...]:
    """Draw without repeats as long as the texts last, so that the sample has the split's own lengths."""
    wanted = -(-config.samples // config.block) * config.block
    order: list[int] = []
    while len(order) < wanted:
        order += rng.sample(range(count), min(count, wanted - len(order)))
    return tuple(order)


def _curve(
    texts: Sequence[Text], count_tokens: TokenCounter, config: BenchConfig, rng: random.Random
) -> dict[int, tuple[Text, ...]]:
    """Join the user's words to texts of 8, 16, 32, ... tokens up to the maximum length."""
    words = [word for text in texts for part in _parts(text) for word in part.split()]
    if not words:
        return {}
    lengths = [8 * 2**i for i in range(16) if 8 * 2**i < count_tokens.max_length]
    return {
        length: tuple(_text_of(length, words, count_tokens, rng) for _ in range(config.curve_samples))
        for length in [*lengths, count_tokens.max_length]
    }


def _text_of(length: int, words: Sequence[str], count_tokens: TokenCounter, rng: random.Random) -> str:
    start = rng.randrange(len(words))
    run = [words[(start + i) % len(words)] for i in range(length)]
    # As many words as tokens are always enough, if truncation may cut: so take the most that still fit.
    low, high = 1, len(run)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _tokens(run[:middle], count_tokens) <= length else (low, middle - 1)
    text = run[:low]
    # The last tokens are filled with single letters, one token each, so that every text has the length named.
    while _tokens(text, count_tokens) < length and len(text) < 2 * length:
        text.append("a")
    return " ".join(text)


def _tokens(words: Sequence[str], count_tokens: TokenCounter) -> int:
    return count_tokens([" ".join(words)])[0]


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text
