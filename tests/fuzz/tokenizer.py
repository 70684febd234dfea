"""Fuzzes `tokenizer.json`: a mutant is loaded and reads texts of every kind.

Allowed: one line that refuses it, when loaded or at a text, or the ids that the tokenizers package gives with
its own truncation, where it can load the file at all.
"""

import copy
import json
import random
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

from mixkd.errors import BundleError
from mixkd.runtime.encoding import Encoder, Text, Tokens
from tests.fuzz.harness import Outcome
from tests.fuzz.tokenizer_edits import EDITS, VALUES, Body, cut_bytes
from tests.runtime.families import FAMILIES, family_json

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SHORT: tuple[Text, ...] = (
    "",
    "pay",
    "Send 100 dollars to my savings, please! [MASK]<mask>",
    "\u4eca\u5929 \ud55c\uad6d\uc5b4 \ufdfa \U0001f600 e\u0301 \x00 caf\u00e9",
    ("pay", "send my money to the account in paris today, and do it now"),
    ("\ufdfa\ufdfa", ""),
)
LONG: tuple[Text, ...] = (
    "a" * 20_000,
    "aa b " * 3_000,
    ("\ufdfa" * 3_000, "\U0001f600" * 5_000),
    " " * 20_000,
    "\ud55c" * 20_000,
)


def attempt(seed: int, folder: Path) -> Outcome:
    """Make a mutant, load it, and let it read."""
    chance = random.Random(seed)
    body = copy.deepcopy(_original(chance.choice(list(FAMILIES))))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        chance.choices(list(EDITS), weights=list(EDITS.values()))[0](chance, body)
    data = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.15:
        data = cut_bytes(chance, data)
    max_length = chance.choice((4, 5, 12, 13, 64, 128, 512))
    if chance.random() < 0.02:
        max_length = chance.choice((0, -1, 3, 2**31, 2**64))
    config = {"pad_token": chance.choice(VALUES)} if chance.random() < 0.05 else {}
    (folder / "tokenizer.json").write_bytes(data)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="ascii")
    try:
        encoder = Encoder.from_folder(folder, max_length=max_length, inputs=INPUTS)
        found, long = encoder.encode(SHORT), encoder.encode(chance.sample(LONG, 2))
    except BundleError as error:
        return Outcome.REFUSED if str(error).isprintable() else Outcome.WRONG
    encoder.feed(found)
    found = [
        tokens._replace(type_ids=tokens.type_ids if any(tokens.type_ids or ()) else None) for tokens in found
    ]
    assert all(0 < len(tokens.ids) <= max_length for tokens in (*found, *long))
    return Outcome.RIGHT if found == (_expected(folder, max_length) or found) else Outcome.WRONG


@cache
def _original(family: str) -> Body:
    body: Body = json.loads(family_json(family))
    return body


def _expected(folder: Path, max_length: int) -> list[Tokens] | None:
    """Return what the package makes of the texts; None where it can't load the file."""
    try:
        whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
        whole.no_padding()
        whole.enable_truncation(max_length, strategy="longest_first")
        encodings = [whole.encode(text) if isinstance(text, str) else whole.encode(*text) for text in SHORT]
    except BaseException:  # also a panic: of a decoder, for example, which the runtime doesn't load
        return None
    return [
        Tokens(found.ids, found.type_ids if any(found.type_ids) else None, bool(found.overflowing))
        for found in encodings
    ]
