"""Fewer pieces: kept text is cut as before, other text gets no token for unknown text that it didn't have.

With MIXKD_TOKENIZERS, a folder, the `tokenizer.json` files in it are tried too: those of real encoders.
"""

import json
import os
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from mixkd.compress.config import MINILM
from mixkd.compress.locate import find_model
from mixkd.errors import ConfigError
from mixkd.export.vocabulary import Vocabulary, choose_vocabulary
from mixkd.runtime.encoding import Text
from tests.export.scripts import NAMES, SENTENCES, asked, tokenizer_json

TEXTS = asked(300)
REAL = sorted(Path(os.environ.get("MIXKD_TOKENIZERS", "/nowhere")).rglob("tokenizer.json"))

Body = dict[str, Any]


def _trim(
    folder: Path, content: str, texts: Sequence[Text], *, others: int = 0
) -> tuple[Tokenizer, Tokenizer, Vocabulary]:
    """Return a tokenizer, what is left of it, and the pieces that were kept."""
    path = folder / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text("{}")
    vocabulary = choose_vocabulary(path, texts, others=others)
    vocabulary.trim_tokenizer(folder)
    return Tokenizer.from_str(content), Tokenizer.from_file(str(path)), vocabulary


def _compare(
    whole: Tokenizer, fewer: Tokenizer, kept: tuple[int, ...], unknown: int | None
) -> tuple[int, int]:
    """Compare the ids of all texts, alone and as pairs; return how many are kept and how many aren't."""
    place = {old: new for new, old in enumerate(kept)}
    inside = outside = 0
    for text in (*TEXTS, *pairwise(TEXTS)):
        first, second = (text, None) if isinstance(text, str) else text
        before, after = whole.encode(first, second).ids, fewer.encode(first, second).ids
        if place.keys() >= set(before):
            assert after == [place[i] for i in before], text
            inside += 1
            continue
        outside += 1
        if unknown not in before:
            assert unknown is None or place[unknown] not in after, text
    return inside, outside


def _unknown(content: str) -> int | None:
    body = json.loads(content)
    model = body["model"]
    if model["type"] == "Unigram":
        number: int | None = model["unk_id"]
        return number
    return None if model.get("unk_token") is None else model["vocab"][model["unk_token"]]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", NAMES)
def test_kept_text_keeps_its_ids_and_other_text_stays_known(name: str, seed: int, tmp_path: Path) -> None:
    content = tokenizer_json(name)
    texts = random.Random(seed).sample(TEXTS, 60)
    whole, fewer, vocabulary = _trim(tmp_path, content, texts, others=20 * seed)
    inside, outside = _compare(whole, fewer, vocabulary.kept, _unknown(content))
    assert inside >= 60
    assert outside > 60
    assert fewer.get_vocab_size() == len(vocabulary.kept) < whole.get_vocab_size()


@pytest.mark.parametrize("path", [find_model(MINILM) / "tokenizer.json", *REAL], ids=lambda p: p.parent.name)
def test_real_tokenizer_keeps_the_ids_of_kept_text(path: Path, tmp_path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    whole, fewer, vocabulary = _trim(tmp_path, content, TEXTS[:100], others=500)
    inside, outside = _compare(whole, fewer, vocabulary.kept, _unknown(content))
    assert inside >= 100
    assert outside > 20


@pytest.mark.parametrize("seed", range(3))
def test_merges_in_any_order_are_made_as_before(seed: int, tmp_path: Path) -> None:
    # Several merges of one piece, and merges in an order that no training makes: many pieces are never made.
    draw = random.Random(seed)
    words = [word for sentence in SENTENCES[:4] for word in sentence.split()]
    parts = {w[i:j] for w in words for i in range(len(w)) for j in range(i + 1, min(len(w), i + 6) + 1)}
    kept = sorted({c for w in words for c in w} | set(draw.sample(sorted(parts), len(parts) // 2)))
    merges = [[p[:i], p[i:]] for p in kept for i in range(1, len(p)) if {p[:i], p[i:]} <= set(kept)]
    draw.shuffle(merges)
    vocab = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *kept])}

    def edit(body: Body) -> None:
        body["model"] |= {"vocab": vocab, "merges": merges, "unk_token": "<unk>"}
        body["pre_tokenizer"] = {"type": "WhitespaceSplit"}
        body["added_tokens"] = body["added_tokens"][:4]

    content = _edited("roberta", edit)
    whole, fewer, vocabulary = _trim(tmp_path, content, [" ".join(words[::2])])
    inside, outside = _compare(whole, fewer, vocabulary.kept, vocab["<unk>"])
    assert inside > 20
    assert outside > 20


def test_words_that_bpe_finds_whole_are_kept_or_merged(tmp_path: Path) -> None:
    def edit(body: Body) -> None:
        body["model"]["ignore_merges"] = True

    texts = random.Random(0).sample(TEXTS, 60)
    whole, fewer, vocabulary = _trim(tmp_path, _edited("modernbert", edit), texts)
    inside, outside = _compare(whole, fewer, vocabulary.kept, None)
    assert inside >= 60
    assert outside > 60


def test_unigram_falls_back_to_bytes_where_it_did(tmp_path: Path) -> None:
    def edit(body: Body) -> None:
        body["model"]["byte_fallback"] = True
        body["model"]["vocab"] += [[f"<0x{byte:02X}>", -30.0] for byte in range(256)]

    content = _edited("xlm-roberta", edit)
    whole, fewer, vocabulary = _trim(tmp_path, content, TEXTS[:20])
    for text in ("\u1200\u1201", "\U0001f9ff x", f"{SENTENCES[5]}\u10d0"):
        assert _unknown(content) not in whole.encode(text).ids
        assert 3 not in fewer.encode(text).ids
    _compare(whole, fewer, vocabulary.kept, _unknown(content))


def test_unknown_characters_count_as_before(tmp_path: Path) -> None:
    # Unknown text costs 10 more than the lowest score. Without the piece of that score, `x` would become
    # unknown and `ay` one piece: -1 - 30 is more than -20 - 20.
    def edit(body: Body) -> None:
        rows = [["\u2581", -1.0], ["a", -21.0], ["y", -20.0], ["q", -21.0], ["xa", -20.0], ["ay", -1.0]]
        body["model"]["vocab"] = [*body["model"]["vocab"][:5], *rows, ["qq", -30.0], ["qqq", -22.0]]

    whole, fewer, vocabulary = _trim(tmp_path, _edited("xlm-roberta", edit), ["ay", "xa"])
    assert whole.encode("xay").tokens == ["<s>", "\u2581", "xa", "y", "</s>"]
    assert fewer.encode("xay").tokens == whole.encode("xay").tokens
    assert "qqq" not in fewer.get_vocab()
    assert vocabulary.size == 13


def test_piece_of_a_character_that_is_none_itself_is_kept(tmp_path: Path) -> None:
    def edit(body: Body) -> None:
        rows = [["\u2581", -1.0], ["a", -2.0], ["b", -2.0], ["ab", -1.0], ["bx", -1.0]]
        body["model"]["vocab"] = [*body["model"]["vocab"][:5], *rows]

    _, fewer, _ = _trim(tmp_path, _edited("xlm-roberta", edit), ["a"])
    assert "bx" in fewer.get_vocab()
    assert "ab" not in fewer.get_vocab()
    assert fewer.encode("abx").tokens == ["<s>", "\u2581", "a", "bx", "</s>"]


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    content = _edited("bert", lambda body: body["model"].update(type="WordLevel", vocab={"[UNK]": 0}))
    with pytest.raises(ConfigError, match="need a WordPiece, Unigram or BPE tokenizer, not WordLevel"):
        _trim(tmp_path, content, ["a"])


def test_bpe_with_marked_words_is_refused(tmp_path: Path) -> None:
    content = _edited("roberta", lambda body: body["model"].update(end_of_word_suffix="</w>"))
    with pytest.raises(ConfigError, match="can't be used with a BPE tokenizer with end_of_word_suffix"):
        _trim(tmp_path, content, ["a"])


def _edited(name: str, edit: Callable[[Body], object]) -> str:
    body = json.loads(tokenizer_json(name))
    edit(body)
    return json.dumps(body)
