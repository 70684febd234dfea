"""Which texts are timed and judged: drawn with a seed, with the data's own mix of lengths."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from mixkd.bench.config import BenchConfig
from mixkd.corpus.corpus import Corpus, Label
from mixkd.errors import DataError
from mixkd.runtime.bundle import Bundle
from mixkd.runtime.encoding import Encoder, Text


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
    """Counts a text's tokens as the bundle's graph gets them."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self.max_length = manifest.max_length
        self._encoder = Encoder.from_folder(
            bundle.folder, max_length=manifest.max_length, inputs=manifest.inputs
        )

    def __call__(self, texts: Iterable[Text]) -> list[int]:
        """Return the tokens of each text, special ones included, truncated to the maximum length."""
        return [len(self._encoder.encode_one(text).ids) for text in texts]


def draw_sample(corpus: Corpus, config: BenchConfig, count_tokens: TokenCounter) -> Sample:
    """Read a split and choose the texts that are timed and those that are judged.

    Raises:
        DataError: If the split has no text.
        BundleError: If the bundle's tokenizer fails on a text.
    """
    split = config.split or corpus.evaluation_split()
    examples = list(corpus.read(split))
    rng = random.Random(config.seed)
    rows = len(examples)
    if config.quality_rows is not None and config.quality_rows < rows:
        examples = [examples[i] for i in sorted(rng.sample(range(rows), config.quality_rows))]
    texts: list[Text] = [example.content for example in examples]
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
    """Draw without repeats until every text was drawn, so that the sample has the split's own lengths."""
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
    # Every word has a token or more: find the most words that fit.
    low, high = 1, len(run)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _tokens(run[:middle], count_tokens) <= length else (low, middle - 1)
    text = run[:low]
    # Single letters, one token each, fill the rest.
    while _tokens(text, count_tokens) < length and len(text) < 2 * length:
        text.append("a")
    return " ".join(text)


def _tokens(words: Sequence[str], count_tokens: TokenCounter) -> int:
    return count_tokens([" ".join(words)])[0]


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text
