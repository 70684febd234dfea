"""The edits that make mutants of a `tokenizer.json`: of its values, its parts and its bytes."""

import base64
import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]
Edit = Callable[[random.Random, Body], object]

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 255, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, -(2**63), 10**400),
    *(0.5, -1e308, 1e308, 1e-320, "", " ", "a", "\u2581", "##", "\0", "\ud800", "a" * 5_000, [], {}, [[]]),
    *([None], {"": ""}, "[UNK]", "<unk>", "Sequence", "Regex", "Always", "first", "never", "Isolated"),
)
NORMALIZERS = (
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None}
    | {"lowercase": True},
    *({"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents")),
    {"type": "ByteLevel"},
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Prepend", "prepend": "\u2581"},
    {"type": "Prepend", "prepend": "a" * 500},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"},
    {"type": "Replace", "pattern": {"String": ""}, "content": "b"},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"},
    {"type": "Replace", "pattern": {"Regex": "(a|aa)*b"}, "content": "b"},
    {"type": "Replace", "pattern": {"Regex": "((a{0,99}){0,99}){0,99}"}, "content": "b"},
)
PRE_TOKENIZERS = (
    *({"type": kind} for kind in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")),
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    {"type": "Metaspace", "replacement": "a", "prepend_scheme": "first", "split": False},
    {"type": "Digits", "individual_digits": True},
    {"type": "Punctuation", "behavior": "Isolated"},
    {"type": "CharDelimiterSplit", "delimiter": "a"},
    {"type": "FixedLength", "length": 1},
    {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
    {"type": "Split", "pattern": {"String": "a"}, "behavior": "Isolated", "invert": True},
    {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Removed", "invert": False},
)
POST_PROCESSORS = (
    {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True}
    | {"add_prefix_space": False},
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
)
MODELS: tuple[Body, ...] = (
    {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
    {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]], "byte_fallback": True},
    {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": None},
    {"type": "WordPiece", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
)

MOST_CHARACTERS = 1_000_000
MODEL_OPTIONS = (
    *("unk_token", "unk_id", "dropout", "byte_fallback", "fuse_unk", "ignore_merges", "type"),
    *("continuing_subword_prefix", "end_of_word_suffix", "max_input_chars_per_word"),
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) below a value; of a long one, such as the vocabulary, the first few."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)[:40]
    else:
        keys = list(range(len(value)))[:40] if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


def set_value(rng: random.Random, body: Body) -> None:
    container, key = rng.choice(list(_places(body)))
    container[key] = copy.deepcopy(rng.choice(VALUES))


def drop_value(rng: random.Random, body: Body) -> None:
    container, key = rng.choice(list(_places(body)))
    del container[key]


def move_value(rng: random.Random, body: Body) -> None:
    """Put a copy of one value in the place of another."""
    places = list(_places(body))
    (source, taken), (target, key) = rng.choice(places), rng.choice(places)
    if isinstance(source[taken], (dict, list)) and len(source[taken]) > 100:
        return
    target[key] = copy.deepcopy(source[taken])


def repeat_value(rng: random.Random, body: Body) -> None:
    """Repeat an entry of a list."""
    lists = [(container, key) for container, key in _places(body) if isinstance(container, list)]
    if lists:
        container, key = rng.choice(lists)
        times = rng.choice((1, 2, 20, 200, 20_000))
        times = min(times, MOST_CHARACTERS // len(json.dumps(container[key])))
        container[key:key] = [copy.deepcopy(container[key]) for _ in range(times)]


def swap_part(rng: random.Random, body: Body) -> None:
    """Put in another part, or a sequence of some."""
    name, parts, members = rng.choice(
        (
            ("normalizer", NORMALIZERS, "normalizers"),
            ("pre_tokenizer", PRE_TOKENIZERS, "pretokenizers"),
            ("post_processor", POST_PROCESSORS, "processors"),
        )
    )
    if rng.random() < 0.4:
        body[name] = copy.deepcopy(rng.choice(parts))
        return
    chosen: list[Any] = rng.choices(parts, k=rng.choice((1, 2, 3, 20, 40)))
    if rng.random() < 0.5:
        chosen = [chosen[0]] * len(chosen)
    if isinstance(body.get(name), dict) and rng.random() < 0.5:
        chosen.insert(rng.randrange(len(chosen) + 1), body[name])
    body[name] = {"type": "Sequence", members: copy.deepcopy(chosen)}


def nest_part(rng: random.Random, body: Body) -> None:
    for _ in range(rng.choice((1, 3, 50, 200))):
        body["normalizer"] = {"type": "Sequence", "normalizers": [body.get("normalizer")]}


def set_charsmap(rng: random.Random, body: Body) -> None:
    data = bytearray(rng.randbytes(rng.choice((0, 3, 8, 64, 1000))))
    if rng.random() < 0.8 and len(data) > 4:
        size = rng.choice((0, 4, (len(data) - 4) // 8 * 4, len(data) - 4))
        data[:4] = size.to_bytes(4, "little")
        if rng.random() < 0.7:
            data[4 + size :] = bytes(rng.choices(b"ab \0", k=rng.choice((1, 20, 400))))
    encoded = base64.b64encode(data).decode()
    body["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": encoded}


def add_tokens(rng: random.Random, body: Body) -> None:
    added = body.get("added_tokens")
    if not isinstance(added, list):
        return
    for number in range(rng.choice((1, 5, 150, 20_000))):
        content = rng.choice(
            (f"tok{number}", "a", " ", "  ", "pay", "\u4eca", "[MASK]", "A", "" if number else "x")
        )
        flags = {
            name: rng.random() < 0.3 for name in ("single_word", "lstrip", "rstrip", "normalized", "special")
        }
        added.append({"id": rng.choice((number, 900 + number, 2**32 - 1)), "content": content, **flags})


def edit_vocabulary(rng: random.Random, body: Body) -> None:
    model = body.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    piece = rng.choice(("", "a", "\u2581", "##", "a" * 300, "pay", "[UNK]", "<unk>", "\ud7ff"))
    if isinstance(vocab, dict) and vocab:
        vocab[piece] = rng.choice((0, 1, len(vocab), 2**32 - 1, 2**32, -1))
        vocab.pop(rng.choice(list(vocab)[:40]), None)
    elif isinstance(vocab, list):
        vocab.insert(rng.randrange(len(vocab) + 1), [piece, rng.choice((0.0, -1.0, 1e308, -1e308))])
        vocab[rng.randrange(len(vocab)) :] = vocab[: rng.choice((0, 1, 50))]


def edit_model(rng: random.Random, body: Body) -> None:
    if rng.random() < 0.3:
        body["model"] = copy.deepcopy(rng.choice(MODELS))
    elif isinstance(body.get("model"), dict):
        body["model"][rng.choice(MODEL_OPTIONS)] = copy.deepcopy(rng.choice(VALUES))


def edit_template(rng: random.Random, body: Body) -> None:
    template = body.get("post_processor")
    if not isinstance(template, dict) or not isinstance(template.get("pair"), list):
        return
    pieces = template.get(rng.choice(("single", "pair")))
    if not isinstance(pieces, list):
        return
    sequence = {"Sequence": {"id": rng.choice("AB"), "type_id": rng.choice((0, 1, 2, 2**32 - 1))}}
    pieces.insert(rng.randrange(len(pieces) + 1), rng.choice((sequence, *pieces) if pieces else (sequence,)))
    if rng.random() < 0.5:
        rng.shuffle(pieces)


def reorder_parts(rng: random.Random, body: Body) -> None:
    items = list(body.items())
    rng.shuffle(items)
    body.clear()
    body.update(items)


EDITS: dict[Edit, int] = {
    set_value: 6,
    drop_value: 3,
    move_value: 3,
    repeat_value: 2,
    swap_part: 6,
    nest_part: 1,
    set_charsmap: 2,
    add_tokens: 2,
    edit_vocabulary: 4,
    edit_model: 4,
    edit_template: 2,
    reorder_parts: 1,
}


def cut_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change the file as bytes: JSON that is none, or that readers may understand differently."""
    at = rng.randrange(len(data))
    evil = b', "normalizer": {"type": "ByteLevel"}, "model": {"type": "Unigram", "vocab": []}'
    match rng.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + rng.randbytes(rng.choice((1, 4))) + data[at + 1 :]
        case 2:
            return data[:at] + data[max(0, at - 50) :]
        case 3:
            return data.rstrip(b"}") + b"}" + evil + b"}"
        case 4:
            return data.replace(b'"normalizer"', b'"n\\u006frmalizer"').replace(b'"model"', b'"\\u006dodel"')
        case _:
            return data.replace(b'"model"', rng.choice((b'"model" ', b'"model": 1, "model"', b'"x"')))
