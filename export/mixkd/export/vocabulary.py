"""A smaller table of words: the rows of the pieces that the training text uses, and a way for all else.

Trimmed, the other pieces go. WordPiece takes the longest piece that fits, from the left: a word all of whose
pieces are kept is cut as before; another one falls back to shorter pieces, down to single characters, and not
to [UNK].

Shared, the other pieces stay in the tokenizer and take the row of that kept piece whose embedding points most
nearly the same way: every text is cut as before, and a rare word reads as its neighbour. That costs the bytes
of the whole tokenizer, and loses about half as much.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from mixkd.errors import ConfigError
from mixkd.export.judge.judge import Judge, Logits
from mixkd.metrics import format_metric
from mixkd.runtime.encoding import Text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROWS_AT_ONCE = 2048
_SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which pieces are kept.

    Attributes:
        kept: Old ids in ascending order; a piece's new id is its place in here.
        size: Pieces there were.
        special: Those of the kept ones that are no text.
        neighbours: Per piece that isn't kept, the kept one whose row it takes; empty where they all go.
    """

    kept: tuple[int, ...]
    size: int
    special: frozenset[int]
    neighbours: Mapping[int, int] = field(default_factory=dict)

    def share_rows(self, model: "PreTrainedModel") -> "Vocabulary":
        """Return the vocabulary with every other piece, each with the kept piece that is nearest in a model.

        Nearest is the largest cosine of two rows, their mean taken away.
        """
        table = model.get_input_embeddings().get_parameter("weight").detach()
        targets = torch.tensor([i for i in self.kept if i not in self.special])
        centred = table - table[targets].mean(dim=0)
        units = torch.nn.functional.normalize(centred, dim=1)
        others = torch.tensor(sorted(set(range(self.size)) - set(self.kept)))
        nearest = [(part @ units[targets].T).argmax(dim=1) for part in units[others].split(_ROWS_AT_ONCE)]
        pairs = zip(others.tolist(), targets[torch.cat(nearest)].tolist(), strict=True) if nearest else ()
        return replace(self, neighbours=dict(pairs))

    def trim_model(self, model: "PreTrainedModel") -> None:
        """Keep those rows of the model's word embeddings, and number its special tokens anew."""
        table = model.get_input_embeddings()
        rows = table.get_parameter("weight").detach()[list(self.kept)].clone()
        model.set_input_embeddings(torch.nn.Embedding.from_pretrained(rows))
        model.config.vocab_size = len(self.kept)
        place = self._places()
        for name in _SPECIAL_IDS:
            old = getattr(model.config, name, None)
            if old is not None:
                setattr(model.config, name, place.get(old))

    def trim_tokenizer(self, folder: Path) -> None:
        """Rewrite the `tokenizer.json` and `tokenizer_config.json` of a folder."""
        place = self._places()
        path = folder / "tokenizer.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        vocab = body["model"]["vocab"]
        body["model"]["vocab"] = {piece: place[i] for piece, i in vocab.items() if i in place}
        for token in body["added_tokens"]:
            token["id"] = place[token["id"]]
        body["post_processor"] = _renumbered(body["post_processor"], place)
        path.write_text(json.dumps(body, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        added = config.get("added_tokens_decoder", {})
        config["added_tokens_decoder"] = {str(place[int(old)]): token for old, token in added.items()}
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _places(self) -> dict[int, int]:
        place = {old: new for new, old in enumerate(self.kept)}
        return place | {old: place[near] for old, near in self.neighbours.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimReport:
    """What a smaller vocabulary costs.

    Attributes:
        kept: Pieces that are left.
        size: Pieces there were.
        texts: Judged texts with a piece that isn't left.
        metric: The task's headline metric.
        student: The headline metric of the PyTorch student on those texts; None where there are none.
        bundle: The same of the graph that answers.
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
        """Return in words what the smaller table does to the texts that need more."""
        if self.student is None or self.bundle is None:
            return "every judged text is made of those"
        before, after = (format_metric(self.metric, value) for value in (self.student, self.bundle))
        return f"on the {self.texts} judged texts with others, {before} became {after}"


def measure_trim(
    vocabulary: Vocabulary, judge: Judge, logits: Logits, tokenizer: "PreTrainedTokenizerBase"
) -> TrimReport:
    """Judge a graph's logits, (N, C), on the texts that hold words outside the vocabulary.

    Args:
        vocabulary: What was kept.
        judge: The judged texts.
        logits: The answers of the graph with the smaller vocabulary.
        tokenizer: The whole vocabulary's.
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


def choose_vocabulary(tokenizer_file: Path, texts: Iterable[Text], *, others: int) -> Vocabulary:
    """Return the pieces to keep: all that the texts use, every single character, and some more.

    Args:
        tokenizer_file: A `tokenizer.json` with a WordPiece model.
        texts: The training texts.
        others: How many further pieces; the first ones in the vocabulary, which is sorted by frequency.

    Raises:
        ConfigError: If the tokenizer is of another kind.
    """
    body = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    if body["model"]["type"] != "WordPiece":
        raise ConfigError(
            f"the vocabulary of a {body['model']['type']} tokenizer can't be trimmed: WordPiece only"
        )
    vocab: dict[str, int] = body["model"]["vocab"]
    prefix = body["model"]["continuing_subword_prefix"]
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    special = frozenset(token["id"] for token in body["added_tokens"])
    kept = set(special)
    kept |= {i for piece, i in vocab.items() if len(piece.removeprefix(prefix)) == 1}
    for text in texts:
        first, second = (text, None) if isinstance(text, str) else text
        kept.update(tokenizer.encode(first, second).ids)
    unused = sorted(i for piece, i in vocab.items() if i not in kept and not piece.startswith("[unused"))
    return Vocabulary(tuple(sorted(kept | set(unused[:others]))), len(vocab), special)


def _renumbered(processor: Any, place: dict[int, int]) -> Any:
    # The special tokens' ids stand in lists ("ids") and in pairs (["[SEP]", 102]).
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
