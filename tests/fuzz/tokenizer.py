"""Fuzzes `tokenizer.json`: a mutant is loaded and reads texts of every kind.

Allowed: one line that refuses it, when loaded or at a text, or the ids that the tokenizers package gives with
its own truncation, where it can load the file at all.
"""

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from mixkd.runtime.encoding import Encoder, Text
from tests.fuzz.harness import main
from tests.fuzz.tokenizer_edits import EDITS, VALUES, Body, cut_bytes
from tests.runtime.families import FAMILIES, family_json

TRIAL_SECONDS = 120.0
"""Wall time; a mutant takes some 20 ms of processor time."""

MEMORY_BYTES = 4 * 2**30
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


@dataclass(frozen=True)
class State:
    """Where a mutant is written, and what it is made from."""

    folder: Path
    bodies: dict[str, Body]


def prepare(folder: Path) -> State:
    """Return the families' tokenizers, and where a mutant may be written."""
    return State(folder, {name: json.loads(family_json(name)) for name in FAMILIES})


def trial(state: State, rng: random.Random) -> None:
    """Make a mutant, load it, and let it read."""
    body = copy.deepcopy(state.bodies[rng.choice(list(state.bodies))])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choices(list(EDITS), weights=list(EDITS.values()))[0](rng, body)
    data = json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.15:
        data = cut_bytes(rng, data)
    max_length = rng.choice((4, 5, 12, 13, 64, 128, 512))
    if rng.random() < 0.02:
        max_length = rng.choice((0, -1, 3, 2**31, 2**64))
    config = {"pad_token": rng.choice(VALUES)} if rng.random() < 0.05 else {}
    (state.folder / "tokenizer.json").write_bytes(data)
    (state.folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="ascii")
    _read(state.folder, max_length, rng.sample(LONG, 2))


def _read(folder: Path, max_length: int, long: Sequence[Text]) -> None:
    encoder = Encoder.from_folder(folder, max_length=max_length, inputs=INPUTS)
    found = encoder.encode(SHORT)
    encoder.feed(found)
    for tokens in (*found, *encoder.encode(long)):
        assert 0 < len(tokens.ids) <= max_length
    try:
        whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
        whole.no_padding()
        whole.enable_truncation(max_length, strategy="longest_first")
        expected = [whole.encode(text) if isinstance(text, str) else whole.encode(*text) for text in SHORT]
    except BaseException:  # also a panic: some decoders are refused, which the runtime doesn't load
        return
    for text, ours, theirs in zip(SHORT, found, expected, strict=True):
        assert (ours.ids, ours.type_ids or [0] * len(ours.ids)) == (theirs.ids, theirs.type_ids), text


if __name__ == "__main__":
    main("tests.fuzz.tokenizer")
