"""A smaller table of word embeddings: only the pieces of the training texts keep a row.

Trimmed: the other pieces are removed from the tokenizer, too. A text whose pieces are all kept is tokenized
as before; another one falls back to shorter pieces, down to single characters or bytes, and not to the token
for unknown text (`mixkd.export.pieces`).

Shared: the other pieces stay in the tokenizer and use the row of the kept piece with the most similar
embedding (cosine). Every text is tokenized as before, and a rare word is read as a similar one. The tokenizer
keeps its size, and the loss is about half of that of trimming. In a WordPiece tokenizer's file several pieces
can have one id; with the other kinds the graph looks up the row of each id first.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from mixkd.export.judge.judge import Judge, Logits
from mixkd.export.pieces import WordPieces, read_pieces
from mixkd.metrics import format_metric
from mixkd.runtime.encoding import Text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROWS_AT_ONCE = 2048
_EACH_LAYOUT: tuple[Text, ...] = ("", ("", ""))
_SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which pieces are kept.

    Attributes:
        kept: Old ids in ascending order; the new id of a piece is its index here.
        size: Pieces of the whole vocabulary.
        special: Those of the kept ids that are special tokens.
        ids_may_repeat: Whether several pieces of this kind of tokenizer can have one id.
        neighbours: For each piece that isn't kept, the kept one whose row it uses; empty when trimmed.
    """

    kept: tuple[int, ...]
    size: int
    special: frozenset[int]
    ids_may_repeat: bool
    neighbours: Mapping[int, int] = field(default_factory=dict)

    def share_rows(self, model: "PreTrainedModel") -> "Vocabulary":
        """Return the vocabulary in which each other piece uses the row of the most similar kept piece.

        Similarity is the cosine of two rows of the model's table, after subtracting the mean row.
        """
        table = model.get_input_embeddings().get_parameter("weight").detach()
        targets = torch.tensor([i for i in self.kept if i not in self.special])
        centred = table - table[targets].mean(dim=0)
        units = torch.nn.functional.normalize(centred, dim=1)
        others = torch.tensor(sorted(set(range(self.size)) - set(self.kept)), dtype=torch.long)
        nearest = [(part @ units[targets].T).argmax(dim=1) for part in units[others].split(_ROWS_AT_ONCE)]
        pairs = zip(others.tolist(), targets[torch.cat(nearest)].tolist(), strict=True) if nearest else ()
        return replace(self, neighbours=dict(pairs))

    def trim_model(self, model: "PreTrainedModel") -> None:
        """Keep only these rows of the model's word embeddings, and renumber its special tokens."""
        table = model.get_input_embeddings()
        rows = table.get_parameter("weight").detach()[list(self.kept)].clone()
        place = self._places()
        if self._keeps_ids:
            numbers = torch.tensor([place[i] for i in range(self.size)], dtype=torch.int32)
            model.set_input_embeddings(_SharedRows(rows, numbers))
            return
        model.set_input_embeddings(torch.nn.Embedding.from_pretrained(rows))
        model.config.vocab_size = len(self.kept)
        for name in _SPECIAL_IDS:
            old = getattr(model.config, name, None)
            if old is not None:
                setattr(model.config, name, place.get(old))

    def trim_tokenizer(self, folder: Path) -> None:
        """Rewrite the `tokenizer.json` and `tokenizer_config.json` of a folder, if any id changes."""
        if self._keeps_ids:
            return
        place = self._places()
        path = folder / "tokenizer.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        body["model"] = read_pieces(body["model"]).without(place)
        for token in body["added_tokens"]:
            token["id"] = place[token["id"]]
        body["post_processor"] = _renumbered(body["post_processor"], place)
        path.write_text(json.dumps(body, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        added = config.get("added_tokens_decoder", {})
        config["added_tokens_decoder"] = {str(place[int(old)]): token for old, token in added.items()}
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @property
    def _keeps_ids(self) -> bool:
        return bool(self.neighbours) and not self.ids_may_repeat

    def _places(self) -> dict[int, int]:
        place = {old: new for new, old in enumerate(self.kept)}
        return place | {old: place[near] for old, near in self.neighbours.items()}


class _SharedRows(torch.nn.Embedding):
    """A table of which several ids use one row.

    Args:
        rows: The table, (R, H).
        numbers: The row of each id, (V,).
    """

    numbers: torch.Tensor

    def __init__(self, rows: torch.Tensor, numbers: torch.Tensor) -> None:
        count, width = rows.shape
        super().__init__(count, width, _weight=rows)
        self.register_buffer("numbers", numbers)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows of ids; (B, T) to (B, T, H)."""
        return super().forward(self.numbers[ids])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimReport:
    """What a smaller vocabulary costs.

    Attributes:
        kept: Rows that are kept.
        size: Pieces of the whole vocabulary.
        texts: Measured texts with a piece that has no row of its own.
        metric: The task's headline metric.
        student: That metric of the PyTorch student on those texts; None where there are none.
        bundle: The same of the bundle.
    """

    kept: int
    size: int
    texts: int
    metric: str
    student: float | None
    bundle: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    def describe(self) -> str:
        """Return in words what the smaller table changes."""
        if self.student is None or self.bundle is None:
            return "they cover every measured text"
        before, after = (format_metric(self.metric, value) for value in (self.student, self.bundle))
        return f"on the {self.texts} measured texts with other pieces: {before} before, {after} after"


def measure_trim(
    vocabulary: Vocabulary, judge: Judge, logits: Logits, tokenizer: "PreTrainedTokenizerBase"
) -> TrimReport:
    """Measure a graph on the texts with pieces that aren't in the smaller vocabulary.

    Args:
        vocabulary: The smaller vocabulary.
        judge: The measured texts.
        logits: The logits of the graph with the smaller vocabulary, (N, C).
        tokenizer: The tokenizer with the whole vocabulary.
    """
    kept = set(vocabulary.kept)
    texts = judge.examples.texts
    pairs = [(text, None) if isinstance(text, str) else text for text in texts]
    ids = [tokenizer(first, second)["input_ids"] for first, second in pairs]
    rows = [row for row, pieces in enumerate(ids) if not kept.issuperset(pieces)]
    return TrimReport(
        kept=len(kept),
        size=vocabulary.size,
        texts=len(rows),
        metric=judge.metric,
        student=judge.score(judge.reference, rows=rows) if rows else None,
        bundle=judge.score(logits, rows=rows) if rows else None,
    )


def choose_vocabulary(
    tokenizer_file: Path, texts: Iterable[Text], *, others: int, first: int = 0
) -> Vocabulary:
    """Return the pieces to keep: all that the texts use, all that others fall back to, and some others.

    Args:
        tokenizer_file: A `tokenizer.json`.
        texts: The training texts.
        others: How many others: the first ones of the vocabulary, which is sorted by frequency.
        first: Pieces at the beginning of the vocabulary that are kept, and so keep their ids; as
            `fixed_ids` returns it.

    Raises:
        ConfigError: If the tokenizer is of a kind that can't be trimmed.
    """
    body = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    pieces = read_pieces(body["model"])
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    special = frozenset(token["id"] for token in body["added_tokens"])
    ids = {*pieces.ids.values(), *special}
    kept = {*special, *pieces.smallest(), *(i for i in ids if i < first)}
    for text in (*_EACH_LAYOUT, *texts):
        one, other = (text, None) if isinstance(text, str) else text
        kept.update(tokenizer.encode(one, other).ids)
    unused = sorted(i for piece, i in pieces.ids.items() if i not in kept and not piece.startswith("[unused"))
    kept |= set(unused[:others])
    kept |= pieces.needed(kept)
    return Vocabulary(tuple(sorted(kept)), 1 + max(ids), special, isinstance(pieces, WordPieces))


def fixed_ids(model: "PreTrainedModel") -> int:
    """Return how many of the first ids must stay, as some encoders count positions from the padding's id."""
    modules = (module for module in model.modules() if not isinstance(module, torch.nn.Embedding))
    padding = (getattr(module, "padding_idx", None) for module in modules)
    return max((1 + number for number in padding if isinstance(number, int)), default=0)


def _renumbered(processor: Any, place: dict[int, int]) -> Any:
    # The ids of special tokens are in lists ("ids") and in pairs (["[SEP]", 102]).
    match processor:
        case {"ids": list(ids), **rest}:
            return {**rest, "ids": [place[i] for i in ids]}
        case dict():
            return {key: _renumbered(value, place) for key, value in processor.items()}
        case [str(token), int(old)]:
            return [token, place[old]]
        case list():
            return [_renumbered(item, place) for item in processor]
    return processor
