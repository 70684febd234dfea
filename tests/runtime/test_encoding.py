import random
import string
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import NFKC, BertNormalizer

from mixkd.corpus.corpus import open_corpus
from mixkd.errors import BundleError
from mixkd.runtime.encoding import Encoder, Text, for_ascii

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
PIECES = (
    "send ",
    "my ",
    "money",
    "x" * 99 + " ",
    "x" * 300 + " ",
    "  ",
    "\u4e00",
    "e\u0301",
    "\x00",
    ",",
    "7",
)


@pytest.fixture(scope="module")
def encoder(bundle: Path) -> Encoder:
    return Encoder.from_folder(bundle, max_length=12, inputs=INPUTS)


def test_feed_gives_the_named_arrays_padded_on_the_right(encoder: Encoder) -> None:
    batch = encoder.encode(["pay", "send my money"])
    feed = encoder.feed(batch)
    assert list(feed) == list(INPUTS)
    assert {array.shape for array in feed.values()} == {(2, 5)}
    assert {array.dtype for array in feed.values()} == {np.dtype(np.int64)}
    assert feed["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert feed["input_ids"][0, 3:].tolist() == [0, 0]  # [PAD]


def test_feed_pads_with_the_tokenizers_own_token(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((bundle / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": {"content": "[MASK]"}}', encoding="utf-8")
    encoder = Encoder.from_folder(tmp_path, max_length=12, inputs=INPUTS)
    assert encoder.feed(encoder.encode(["pay", "pay pay"]))["input_ids"][0, -1] == 4  # [MASK]


def test_feed_of_one_equals_its_row_of_many(encoder: Encoder) -> None:
    batch = encoder.encode([("pay", "my money"), "pay"])
    for name, array in encoder.feed(batch[:1]).items():
        assert array.tolist() == encoder.feed(batch)[name][:1].tolist()


def test_feed_leaves_out_what_the_graph_does_not_take(bundle: Path) -> None:
    encoder = Encoder.from_folder(bundle, max_length=12, inputs=("attention_mask", "input_ids"))
    assert list(encoder.feed(encoder.encode(["pay"]))) == ["attention_mask", "input_ids"]


def test_encode_marks_the_texts_of_a_pair(encoder: Encoder) -> None:
    (pair,) = encoder.encode([("pay", "my money")])
    assert pair.type_ids.tolist() == [0, 0, 0, 1, 1, 1]
    assert not pair.truncated


def test_encode_equals_the_whole_tokenizer_however_long_the_text(bundle: Path) -> None:
    whole = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    whole.no_padding()
    whole.enable_truncation(13, strategy="longest_first")  # even room for a pair
    encoder = Encoder.from_folder(bundle, max_length=13, inputs=INPUTS)
    chance = random.Random(5)

    def any_text(most: int) -> str:
        favourites = chance.sample(PIECES, 3)
        return "".join(chance.choices(favourites, k=chance.choice((1, 5, most))))

    for _ in range(150):
        text: Text = any_text(200) if chance.random() < 0.7 else (any_text(60), any_text(60))
        expected = whole.encode(text) if isinstance(text, str) else whole.encode(*text)
        (found,) = encoder.encode([text])
        assert found.ids.tolist() == expected.ids
        assert found.type_ids.tolist() == expected.type_ids
        assert found.truncated == bool(expected.overflowing)


def test_encode_of_two_long_texts_stays_small(encoder: Encoder) -> None:
    # The tokenizer by itself would build every combination of the cut-off parts: 10^9 encodings here.
    (pair,) = encoder.encode([("\u4e00" * 300_000, " " * 300_000 + "pay " * 100_000)])
    assert len(pair.ids) == 12
    assert pair.truncated


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": {"type": "Pickle"}}', "\x00\xff"])
def test_from_folder_refuses_a_broken_tokenizer(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content, encoding="latin-1")
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be loaded"):
        Encoder.from_folder(tmp_path, max_length=12, inputs=INPUTS)


def test_from_folder_refuses_inputs_that_no_tokenizer_gives(bundle: Path) -> None:
    with pytest.raises(BundleError, match="pixel_values"):
        Encoder.from_folder(bundle, max_length=12, inputs=("input_ids", "pixel_values"))


def test_from_folder_refuses_a_length_without_room_for_a_text(bundle: Path) -> None:
    with pytest.raises(BundleError, match="no room in 3"):
        Encoder.from_folder(bundle, max_length=3, inputs=INPUTS)


@pytest.mark.parametrize("lowercase", [True, False])
def test_for_ascii_gives_the_same_tokens_for_printable_ascii(bundle: Path, lowercase: bool) -> None:
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    quick = for_ascii(tokenizer)
    assert quick is not tokenizer
    chance, characters = random.Random(5), string.printable[:95]
    pieces = ["[CLS]", "[sep]", "Pay", " MONEY ", "##e", *characters]
    strange = ["".join(chance.choices(pieces, k=chance.randrange(40))) for _ in range(2000)]
    corpus = open_corpus("clinc150")
    real = [row.text for row in corpus.read("test") if row.text.isascii()]
    assert len(real) > 4000
    for text in strange + real:
        for pair in (None, "Send [MASK]"):
            ours, theirs = quick.encode(text, pair), tokenizer.encode(text, pair)
            assert (ours.ids, ours.type_ids) == (theirs.ids, theirs.type_ids)


def test_for_ascii_leaves_alone_what_it_can_not_copy(bundle: Path) -> None:
    added = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    added.add_tokens(["Money Order"])  # it is looked for in what the normalizer leaves
    assert for_ascii(added) is added
    other = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    other.normalizer = NFKC()
    assert for_ascii(other) is other


def test_encode_normalizes_what_is_not_ascii(encoder: Encoder) -> None:
    plain, accented, controlled = encoder.encode(["pay", "p\u00e1y", "pa\x7fy"])
    assert plain.ids.tolist() == accented.ids.tolist() == controlled.ids.tolist()
