"""What is refused of a `tokenizer.json`, and that what is loaded is what the package loads."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from mixkd.errors import BundleError
from mixkd.runtime.encoding import Encoder
from mixkd.runtime.tokenizer import read_tokenizer
from tests.runtime.families import FAMILIES, texts, write_family

Body = dict[str, Any]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def rewrite(folder: Path, family: str, edit: Callable[[Body], object]) -> Path:
    """Write a family's tokenizer with something changed, and return the folder."""
    path = write_family(family, folder) / "tokenizer.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    edit(body)
    path.write_text(json.dumps(body), encoding="utf-8")
    return folder


def added(number: int, **changes: Any) -> Body:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": 5000 + number, "content": f"added{number}x", **flags, **changes}


def charsmap(data: bytes) -> Body:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


def set_model(**changes: Any) -> Callable[[Body], object]:
    return lambda body: body["model"].update(changes)


def set_parts(**changes: Any) -> Callable[[Body], object]:
    return lambda body: body.update(changes)


def sequence(members: str, parts: list[Body]) -> Body:
    return {"type": "Sequence", members: parts}


@pytest.mark.parametrize("family", FAMILIES)
def test_load_gives_what_the_package_loads(family: str, tmp_path: Path) -> None:
    whole = Tokenizer.from_file(str(write_family(family, tmp_path) / "tokenizer.json"))
    ours = read_tokenizer(tmp_path)
    asked = [*list(texts())[::20], "a [MASK]b <mask>  c<pad> [SEP]", "     x", "\x00\u0301\ufdfa"]
    for text in asked:
        expected = whole.encode(text)
        found = ours.tokenizer.encode(text).ids
        assert ours.single.join([found]) == expected.ids
        assert ours.single.types([len(found)]) == expected.type_ids
        pair = whole.encode(text, asked[0])
        second = ours.tokenizer.encode(asked[0]).ids
        assert ours.pair.join([found, second]) == pair.ids
        assert ours.pair.types([len(found), len(second)]) == pair.type_ids


@pytest.mark.parametrize("order", [["model", "version"], ["version", "model", "normalizer"]])
def test_load_reads_a_file_whose_model_is_not_the_last_part(tmp_path: Path, order: list[str]) -> None:
    plain = read_tokenizer(write_family("albert", tmp_path)).tokenizer.encode("Send ``money''").ids

    def reorder(body: Body) -> None:
        rest = {name: body[name] for name in body if name not in order}
        first = {name: body[name] for name in order}
        body.clear()
        body.update({**first, **rest})

    rewrite(tmp_path, "albert", reorder)
    assert read_tokenizer(tmp_path).tokenizer.encode("Send ``money''").ids == plain


def test_load_takes_no_part_from_behind_the_model(tmp_path: Path) -> None:
    # The model is handed over unread: what follows it must not become a part of its own.
    path = write_family("bert", tmp_path) / "tokenizer.json"
    text = path.read_text(encoding="utf-8").rstrip().removesuffix("}")
    evil = json.dumps(sequence("normalizers", [DOUBLE] * 20))
    path.write_text(f'{text}, "normalizer": {evil}}}', encoding="utf-8")
    with pytest.raises(BundleError, match="its normalizers may make 1048576 characters of one"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("family", "edit", "message"),
    [
        ("bert", set_parts(normalizer=sequence("normalizers", [DOUBLE] * 20)), "may make 1048576 characters"),
        ("bert", set_parts(normalizer={"type": "ByteLevel"}), "normalizer 'ByteLevel' is none that"),
        ("bert", set_parts(normalizer=[]), "normalizer 'None' is none that"),
        ("bert", set_parts(normalizer={**DOUBLE, "pattern": {"String": ""}}), "pattern of its Replace"),
        ("bert", set_parts(normalizer={**DOUBLE, "pattern": {"Regex": "(a+)+$"}}), "pattern of its Replace"),
        ("bert", set_parts(normalizer={**DOUBLE, "content": None}), "has no content"),
        ("bert", set_parts(normalizer={"type": "Prepend", "prepend": "x" * 9}), "more than one character"),
        ("bert", set_parts(normalizer=charsmap(b"\xff\xff\xff\xff")), "character map is damaged"),
        ("bert", set_parts(normalizer=charsmap(bytes(4) + b"x" * 999)), "may make 999 characters"),
        (
            "bert",
            set_parts(normalizer={"type": "Precompiled", "precompiled_charsmap": "?"}),
            "can't be loaded",
        ),
        ("bert", set_parts(normalizer=sequence("normalizers", [{"type": "NFC"}] * 99)), "more than 32"),
        ("bert", set_parts(pre_tokenizer=sequence("pretokenizers", [BYTES] * 2)), "more than one ByteLevel"),
        (
            "bert",
            set_parts(pre_tokenizer={"type": "UnicodeScripts"}),
            "pre-tokenizer 'UnicodeScripts'",
        ),
        ("bert", set_parts(post_processor={"type": "X"}), "post-processor 'X' is none"),
        (
            "bert",
            lambda body: body["post_processor"].update(pair=[{"Sequence": {"id": "B", "type_id": 0}}] * 2),
            "can't be ",
        ),
        ("bert", lambda body: body["post_processor"].update(special_tokens={}), "can't be used"),
        ("bert", set_parts(post_processor=None), "adds no special tokens"),
        (
            "bert",
            lambda body: body["post_processor"]["special_tokens"]["[SEP]"].update(ids=[4_000_000_000]),
            "special token 4000000000 is not in the vocabulary",
        ),
        ("bert", set_parts(added_tokens=[added(i) for i in range(10_001)]), "a list of at most 10000"),
        ("bert", set_parts(added_tokens=[added(i, special=bool(i % 2)) for i in range(200)]), "take turns"),
        ("bert", set_parts(added_tokens=[added(0, content="x" * 1001)]), "has 1001 characters"),
        ("bert", set_parts(added_tokens=[added(0, content=None)]), "has no content"),
        ("bert", set_parts(added_tokens=[added(0, lstrip="yes")]), "can't be loaded"),
        ("bert", set_parts(added_tokens=[added(0, content="  ", rstrip=True)]), "may be a space itself"),
        ("bert", set_parts(added_tokens=[added(0, rstrip=True, normalized=True)]), "may be a space itself"),
        ("bert", set_parts(added_tokens=[added(0), added(0, special=False)]), "is listed twice"),
        ("bert", set_parts(added_tokens=None), "can't be loaded"),
        ("bert", set_model(max_input_chars_per_word=10**6), "its words may have 1000000 characters"),
        ("bert", set_model(unk_token="[NOTHING]"), "can't be loaded"),
        ("bert", set_model(vocab={"a": 0}), "can't be loaded"),
        ("bert", set_model(vocab={"a": -1}), "can't be loaded"),
        (
            "bert",
            set_parts(model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}),
            "WordLevel is none",
        ),
        ("bert", set_parts(model=None), "can't be loaded"),
        ("roberta", set_model(dropout=0.5), "drops merges by chance"),
        ("roberta", set_model(continuing_subword_prefix="####"), "can't be loaded"),
        ("roberta", set_model(unk_token="<nothing>"), "can't be loaded"),
        ("roberta", set_model(merges=[["a", "nothing"]]), "can't be loaded"),
        ("roberta", set_model(merges=[["a", "\0"]]), r"Token `\\\\?x00` out of vocabulary"),
        ("xlm-roberta", set_model(unk_id=None), "can't be loaded"),
        ("xlm-roberta", set_model(unk_id=10**6), "can't be loaded"),
        ("xlm-roberta", set_model(vocab=[]), "can't be loaded"),
    ],
)
def test_load_refuses_what_no_supported_encoder_has(
    family: str, edit: Callable[[Body], object], message: str, tmp_path: Path
) -> None:
    folder = rewrite(tmp_path, family, edit)
    with pytest.raises(BundleError, match=message) as caught:
        Encoder.from_folder(folder, max_length=12, inputs=INPUTS)
    assert str(folder / "tokenizer.json") in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["single", "pair"])
def test_load_refuses_a_template_that_repeats_a_text(name: str, tmp_path: Path) -> None:
    def repeat(body: Body) -> None:
        template = body["post_processor"][name]
        (text,) = (piece for piece in template if piece.get("Sequence", {}).get("id") == "A")
        template.append(text)

    with pytest.raises(BundleError, match="doesn't keep the text, or both texts, once and in order"):
        read_tokenizer(rewrite(tmp_path, "bert", repeat))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"model": {"type": "Pickle"}}',
        b"\x00\xff",
        b"[" * 100_000,
        b'{"normalizer": ' + b'{"type": "Sequence", "normalizers": [' * 10_000 + b', "model": 1}',
        b'{"model": ' + b"[" * 100_000 + b"}",
        b'{"version": ' + b"9" * 10_000 + b', "model": {}}',
    ],
    ids=lambda content: repr(content[:12]),
)
def test_load_refuses_a_broken_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be loaded"):
        read_tokenizer(tmp_path)


def test_load_refuses_a_file_that_is_missing_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json can't be read \(No such file"):
        read_tokenizer(tmp_path)
    write_family("bert", tmp_path)
    monkeypatch.setattr("mixkd.runtime.tokenizer.MAX_PARTS_BYTES", 100)
    with pytest.raises(BundleError, match="bytes before the model, the limit is 100"):
        read_tokenizer(tmp_path)
    monkeypatch.setattr("mixkd.runtime.tokenizer.MAX_VALUES", 100)
    with pytest.raises(BundleError, match="it has more than 100 values"):
        read_tokenizer(tmp_path)
    monkeypatch.setattr("mixkd.runtime.tokenizer.MAX_TOKENIZER_BYTES", 100)
    with pytest.raises(BundleError, match="larger than any: the limit is 100 bytes"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "can't be read"),
        ("[" * 100_000, "can't be read"),
        ('{"pad_token": "[NOTHING]"}', r"pads with '\[NOTHING\]', which is not in the vocabulary"),
        ('{"pad_token": 3}', "pads with 3"),
        ('{"pad_token": "\\ud800"}', "can't be read"),
    ],
)
def test_load_refuses_a_pad_token_that_there_is_not(content: str, message: str, tmp_path: Path) -> None:
    (write_family("bert", tmp_path) / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(BundleError, match=message):
        read_tokenizer(tmp_path)


def test_load_pads_with_zero_where_no_token_is_named(tmp_path: Path) -> None:
    (write_family("roberta", tmp_path) / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    assert read_tokenizer(tmp_path).pad_id == 0


def test_a_text_on_which_the_tokenizer_fails_is_a_bundle_error_without_the_text(tmp_path: Path) -> None:
    # The trie of the character map points outside of itself for "s": its Rust code panics there.
    trie = (4 * 4).to_bytes(4, "little") + b"\0" * 4 + b"\xff\xff\xff\x7f" * 3
    edit = set_parts(normalizer=charsmap(trie + b"x\0"))
    encoder = Encoder.from_folder(rewrite(tmp_path, "xlm-roberta", edit), max_length=12, inputs=INPUTS)
    for text in ("my secret", ("pay", "my secret"), "my secret " * 1000, "my \ud800 secret"):
        with pytest.raises(
            BundleError, match=r"tokenizer\.json fails on a text \(PanicException\)"
        ) as caught:
            encoder.encode_one(text)
        assert "secret" not in str(caught.value)
