"""What each kind of tokenizer keeps, so that fewer pieces cut a text as all of them did.

Two things hold for every kind. A text whose pieces are all kept is cut as before. Another one is cut into
smaller pieces where it has pieces that are left out, and gets no token for unknown text that it didn't have,
provided that each character in a piece is a piece itself, as in the vocabularies that SentencePiece, BERT's
and RoBERTa's training make. A piece with another character is always kept.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mixkd.errors import ConfigError

_BYTE = re.compile("<0x[0-9A-F]{2}>")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pieces(ABC):
    """The pieces of a tokenizer.

    Attributes:
        body: The model in its `tokenizer.json`.
        ids: The id of each piece.
    """

    body: Body
    ids: Mapping[str, int]

    def smallest(self) -> set[int]:
        """Return the pieces that a text may always fall back to, and those that nothing can replace."""
        found = {self.ids[piece] for piece in self.ids if self._is_smallest(piece)}
        alone = {piece for piece in self.ids if self.ids[piece] in found}
        return found | {i for piece, i in self.ids.items() if not alone.issuperset(self._characters(piece))}

    def needed(self, kept: Collection[int]) -> set[int]:
        """Return the other pieces without which these would not be found."""
        return set()

    @abstractmethod
    def without(self, place: Mapping[int, int]) -> Body:
        """Return the model with the pieces of `place` only, renumbered."""

    def _is_smallest(self, piece: str) -> bool:
        return len(piece) == 1

    def _characters(self, piece: str) -> Iterable[str]:
        return piece

    def _token(self, name: str) -> set[int]:
        return {self.ids[self.body[name]]} if self.body.get(name) in self.ids else set()


class WordPieces(Pieces):
    """WordPiece takes the longest piece that fits, from the left: without longer ones a kept one still is."""

    def smallest(self) -> set[int]:
        """Return all single characters, with and without the prefix inside of words."""
        return super().smallest() | self._token("unk_token")

    def without(self, place: Mapping[int, int]) -> Body:
        """Return the model with fewer pieces, or with several of one number."""
        return {**self.body, "vocab": _renumbered_pieces(self.ids, place)}

    @property
    def _prefix(self) -> str:
        return str(self.body["continuing_subword_prefix"])

    def _is_smallest(self, piece: str) -> bool:
        return len(piece.removeprefix(self._prefix)) == 1

    def _characters(self, piece: str) -> Iterator[str]:
        inside = piece.startswith(self._prefix)
        for number, character in enumerate(piece.removeprefix(self._prefix)):
            yield self._prefix + character if inside or number else character


class UnigramPieces(Pieces):
    """Unigram takes the segmentation with the highest sum of scores.

    Fewer pieces make no sum higher. So where the best segmentation is left, it is still the best: at each
    character the best sum up to there is at most what it was, and on the way of that segmentation it is what
    it was. Of equal sums the one found first wins, in the same order. Unknown characters count 10 less than
    the lowest score of all pieces, so a piece with that score is kept.
    """

    def smallest(self) -> set[int]:
        """Return all single characters, the pieces for bytes, and one with the lowest score."""
        scores = [score for _, score in self.body["vocab"]]
        lowest = {min(range(len(scores)), key=scores.__getitem__)}
        unknown = set() if self.body.get("unk_id") is None else {self.body["unk_id"]}
        return super().smallest() | lowest | unknown

    def without(self, place: Mapping[int, int]) -> Body:
        """Return the model with fewer pieces."""
        rows = sorted((place[i], row) for i, row in enumerate(self.body["vocab"]) if i in place)
        unknown = self.body.get("unk_id")
        renumbered = None if unknown is None else place[unknown]
        return {**self.body, "unk_id": renumbered, "vocab": [row for _, row in rows]}

    def _is_smallest(self, piece: str) -> bool:
        return len(piece) == 1 or bool(self.body.get("byte_fallback") and _BYTE.fullmatch(piece))


class MergedPieces(Pieces):
    """BPE merges the two neighbours that stand first in its list of merges, again and again.

    Inside of what becomes one piece it merges as if the piece stood alone. So a piece is found wherever it
    was if everything that is made on the way to it is kept.
    """

    def smallest(self) -> set[int]:
        """Return all single characters (of byte-level BPE, the 256 bytes) and the pieces for bytes."""
        return super().smallest() | self._token("unk_token")

    def needed(self, kept: Collection[int]) -> set[int]:
        """Return what is made on the way to these pieces."""
        ranks = {pair: rank for rank, pair in enumerate(self._merges())}
        made = {part for piece, i in self.ids.items() if i in kept for part in _steps(piece, ranks)}
        return {self.ids[part] for part in made if part in self.ids} - set(kept)

    def without(self, place: Mapping[int, int]) -> Body:
        """Return the model with fewer pieces and their merges."""
        vocab = _renumbered_pieces(self.ids, place)
        merges = [
            [first, second]
            for first, second in self._merges()
            if first in vocab and second in vocab and first + second in vocab
        ]
        return {**self.body, "vocab": vocab, "merges": merges}

    def _merges(self) -> Iterator[tuple[str, str]]:
        for merge in self.body["merges"]:
            first, second = merge.split(" ") if isinstance(merge, str) else merge
            yield first, second

    def _is_smallest(self, piece: str) -> bool:
        return len(piece) == 1 or bool(self.body.get("byte_fallback") and _BYTE.fullmatch(piece))


def read_pieces(model: Body) -> Pieces:
    """Return the pieces of a `tokenizer.json`'s model.

    Raises:
        ConfigError: If it is of a kind that can't be trimmed.
    """
    match model:
        case {"type": "WordPiece", "vocab": dict(ids)}:
            return WordPieces(model, ids)
        case {"type": "Unigram", "vocab": list(rows)}:
            return UnigramPieces(model, {piece: i for i, (piece, _) in enumerate(rows)})
        case {"type": "BPE", "vocab": dict(ids)}:
            marks = [n for n in ("continuing_subword_prefix", "end_of_word_suffix") if model.get(n)]
            if not marks:
                return MergedPieces(model, ids)
            raise ConfigError(
                f"--vocabulary trim and share can't be used with a BPE tokenizer with {marks[0]}"
            )
    raise ConfigError(
        f"--vocabulary trim and share need a WordPiece, Unigram or BPE tokenizer, not {model['type']}"
    )


def _renumbered_pieces(ids: Mapping[str, int], place: Mapping[int, int]) -> dict[str, int]:
    return {piece: place[i] for piece, i in ids.items() if i in place}


def _steps(piece: str, ranks: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """Yield what BPE makes on the way from the characters to a piece."""
    parts = list(piece)
    while ranked := [(ranks[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in ranks]:
        _, at = min(ranked)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        yield parts[at]
