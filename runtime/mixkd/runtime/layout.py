"""The special tokens around one text or a pair of texts, and the truncation of a pair."""

from collections.abc import Sequence
from typing import NamedTuple

from tokenizers import Encoding


class Layout(NamedTuple):
    """The special tokens around N texts, N being 1 or 2.

    Attributes:
        gaps: Ids of the special tokens before, between and after the texts; N + 1 tuples.
        gap_types: The token types of the same.
        text_types: The token type of each text's own tokens; N.
    """

    gaps: tuple[tuple[int, ...], ...]
    gap_types: tuple[tuple[int, ...], ...]
    text_types: tuple[int, ...]

    @classmethod
    def observe(cls, encoding: Encoding, *, texts: Sequence[int]) -> "Layout":
        """Return the layout of an encoding of N texts of one token each, whose ids are `texts`.

        Raises:
            ValueError: If it isn't special tokens around the texts, each once and in order.
        """
        ids: list[int] = encoding.ids
        places = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
        if [ids[place] for place in places] != list(texts):
            raise ValueError("its post-processor doesn't keep the text, or both texts, once and in order")
        spans = list(zip([0, *(place + 1 for place in places)], [*places, len(ids)], strict=True))
        return cls(
            gaps=tuple(tuple(ids[start:stop]) for start, stop in spans),
            gap_types=tuple(tuple(encoding.type_ids[start:stop]) for start, stop in spans),
            text_types=tuple(encoding.type_ids[place] for place in places),
        )

    @property
    def special_tokens(self) -> int:
        """The number of special tokens."""
        return sum(map(len, self.gaps))

    @property
    def has_types(self) -> bool:
        """Whether any token has a type other than 0."""
        return any(self.text_types) or any(map(any, self.gap_types))

    def join(self, texts: Sequence[list[int]]) -> list[int]:
        """Return the ids of the texts with the special tokens around them."""
        ids = [*self.gaps[0]]
        for text, gap in zip(texts, self.gaps[1:], strict=True):
            ids += text
            ids += gap
        return ids

    def types(self, lengths: Sequence[int]) -> list[int]:
        """Return the token types of what `join` returns for texts of these lengths."""
        types = [*self.gap_types[0]]
        for kind, length, gap in zip(self.text_types, lengths, self.gap_types[1:], strict=True):
            types += [kind] * length
            types += gap
        return types


def longest_first(first: float, second: float, room: int) -> tuple[int, int]:
    """Return how many tokens to keep of each text of a pair, as the truncation `longest_first` does.

    The shorter text is kept whole if it takes up to half of the room; else each gets half, and an odd token
    goes to the longer text (to the second one if both have the same length).

    Args:
        first: The number of tokens of the first text; for a text that wasn't read to its end an estimate, not
            below the number of tokens that were read.
        second: The same for the second text.
        room: The number of tokens for both together.
    """
    if first + second <= room:
        return int(first), int(second)
    shorter, longer = min(first, second), room // 2 + room % 2
    if shorter <= room // 2:
        shorter = int(shorter)
        longer = room - shorter
    else:
        shorter = room // 2
    return (longer, shorter) if first > second else (shorter, longer)
