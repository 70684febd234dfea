import json
import random
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import NFKC, BertNormalizer

from mixkd.corpus.corpus import open_corpus
from mixkd.errors import BundleError
from mixkd.runtime.encoding import Encoder, Text, for_ascii
from tests.runtime.families import FAMILIES, write_family

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
    " ",
    "\n",
    "    ",
    "\u00a0",
    "\u3000",
    "\u5929\u6c14",
    "\ud55c",
    "\ub0a0\uc528 ",
    "\u0e27\u0e31\u0e19",
    "\U0001f600",
    "\ufdfa",
    "The weather, in Paris. ",
    "stra\u00dfe ",
    "``",
    "[MASK]",
    "<mask>",
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
    assert pair.type_ids == [0, 0, 0, 1, 1, 1]
    assert not pair.truncated


def whole_tokenizer(folder: Path, max_length: int) -> Tokenizer:
    """Return the tokenizer as the package loads it, with its own truncation."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer


def any_text(chance: random.Random, most: int) -> str:
    return "".join(chance.choices(chance.sample(PIECES, 3), k=chance.choice((0, 1, 3, 8, most))))


def assert_equal(encoder: Encoder, whole: Tokenizer, text: Text) -> None:
    expected = whole.encode(text) if isinstance(text, str) else whole.encode(*text)
    found = encoder.encode_one(text)
    assert found.ids == expected.ids, text
    assert (found.type_ids or [0] * len(found.ids)) == expected.type_ids
    assert found.truncated == bool(expected.overflowing)


@pytest.mark.parametrize("family", [*FAMILIES, "charsmap"])
def test_encode_equals_the_whole_tokenizer(family: str, tmp_path: Path) -> None:
    write_family(family, tmp_path)
    chance = random.Random(5)
    for max_length, most in ((13, 3), (14, 3), (32, 8), (64, 15), (128, 30)):
        encoder = Encoder.from_folder(tmp_path, max_length=max_length, inputs=INPUTS)
        whole = whole_tokenizer(tmp_path, max_length)
        window = 8 * max_length  # beyond, a pair's odd token may go to the other text
        for _ in range(120):
            pair = tuple(any_text(chance, most)[:window] for _ in range(2))
            assert_equal(encoder, whole, (pair[0], pair[1]))
            assert_equal(encoder, whole, any_text(chance, most))


@pytest.mark.parametrize("family", [*FAMILIES, "charsmap"])
def test_encode_equals_the_whole_tokenizer_however_long_the_text(family: str, tmp_path: Path) -> None:
    write_family(family, tmp_path)
    special = whole_tokenizer(tmp_path, 64).num_special_tokens_to_add(is_pair=True)
    max_length = 60 + special % 2  # even room for a pair
    encoder = Encoder.from_folder(tmp_path, max_length=max_length, inputs=INPUTS)
    whole = whole_tokenizer(tmp_path, max_length)
    chance = random.Random(6)
    for _ in range(40):
        pair = tuple(any_text(chance, 200)[:16_000] for _ in range(2))
        assert_equal(encoder, whole, (pair[0], pair[1]))
        assert_equal(encoder, whole, pair[0] + pair[1][: 16_000 - len(pair[0])])


def test_a_text_without_tokens_is_read_to_a_limit(encoder: Encoder) -> None:
    near, far = (encoder.encode_one(" " * size + "pay") for size in (16_000, 16_400))
    assert (len(near.ids), near.truncated) == (3, False)
    assert (len(far.ids), far.truncated) == (2, True)


def test_a_text_is_not_read_word_by_word_where_words_depend_on_each_other(tmp_path: Path) -> None:
    # This pre-tokenizer leaves the spaces within its pieces.
    path = write_family("bert", tmp_path) / "tokenizer.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    body["pre_tokenizer"] = {"type": "Punctuation", "behavior": "Isolated"}
    path.write_text(json.dumps(body), encoding="utf-8")
    encoder = Encoder.from_folder(tmp_path, max_length=5, inputs=INPUTS)
    whole = whole_tokenizer(tmp_path, 5)
    for words in (8, 30, 300):
        assert_equal(encoder, whole, "Send it, " + "send 100 dollars now " * words + ", please")


def test_an_odd_token_goes_to_the_text_that_seems_longer(bundle: Path) -> None:
    encoder = Encoder.from_folder(bundle, max_length=12, inputs=INPUTS)  # room for 9 tokens of a pair
    long, longer = "pay " * 1000, "pay " * 2000
    assert encoder.encode_one((longer, long)).type_ids == [0] * 7 + [1] * 5
    assert encoder.encode_one((long, longer)).type_ids == [0] * 6 + [1] * 6


MEMORY = """
import resource, sys
from pathlib import Path
from mixkd.runtime.encoding import Encoder

encoder = Encoder.from_folder(Path(sys.argv[1]), max_length=512, inputs=["input_ids"])
encoder.encode_one(("pay", "pay"))
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 100 * 2**20,) * 2)  # more makes the process abort
worst = chr(0xFDFA) * 4000, chr(0x1F600) * 4000, chr(0xD55C) * 400_000, "x" * 3_000_000, "pay " * 500_000
for text in worst:
    for asked in (text, (text, text), (text, "pay")):
        assert len(encoder.encode_one(asked).ids) <= 512
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of memory as Linux has them")
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_encode_of_the_worst_texts_stays_small(family: str, tmp_path: Path) -> None:
    write_family(family, tmp_path)
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": {"type": "Pickle"}}', "\x00\xff"])
def test_from_folder_refuses_a_broken_tokenizer(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content, encoding="latin-1")
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be loaded"):
        Encoder.from_folder(tmp_path, max_length=12, inputs=INPUTS)


def test_from_folder_refuses_inputs_that_no_tokenizer_gives(bundle: Path) -> None:
    with pytest.raises(BundleError, match="pixel_values"):
        Encoder.from_folder(bundle, max_length=12, inputs=("input_ids", "pixel_values"))


def test_from_folder_refuses_a_length_without_room_for_a_text(bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"max_length is 3: .* adds 3 tokens to a pair.* from 4 to"):
        Encoder.from_folder(bundle, max_length=3, inputs=INPUTS)
    with pytest.raises(BundleError, match="max_length is 18446744073709551616: "):
        Encoder.from_folder(bundle, max_length=2**64, inputs=INPUTS)


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
    assert plain.ids == accented.ids == controlled.ids
