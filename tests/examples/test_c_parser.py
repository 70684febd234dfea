"""What the C example reads a bundle with: mutants under sanitizers, and the same values as Python's json."""

import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.examples.c_example import Library, build
from tests.examples.conftest import FIXTURE

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MUTANTS = 100_000
SEED = 1
MANIFESTS = 3000
REASONS = (
    "mkd.json: max_length must be a whole number from 4 to 131072",
    "mkd.json: labels must have at least one label",
    "mkd.json: threshold must be a number from 0 to 1",
    "mkd.json: labels stands twice",
    "mkd.json: nested deeper than 64",
    "mkd.json: half of a surrogate pair",
    "mkd.json: a string holds NUL",
    "mkd.json: a string is not UTF-8",
    "mkd.json: model_file leaves the folder",
    "tokenizer.json: a piece's id must be a whole number from 0 to 2147483647",
    "tokenizer.json: a piece stands twice",
    "tokenizer.json: nested deeper than 64",
    *(f"tokenizer.json: the vocabulary has no {name}" for name in ("[CLS]", "[SEP]", "[UNK]", "[PAD]")),
)
"""What mutants must come to, among others: a fuzzer that spoils the first byte alone would show nothing."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder with the fuzzer in it."""
    return build(tmp_path_factory.mktemp("built"), "fuzz")


def test_mutants_of_a_bundle_are_read_or_refused_without_a_report_of_the_sanitizers(built: Path) -> None:
    command = [str(built / "fuzz"), str(FIXTURE), str(SEED), str(MUTANTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    *reasons, summary = done.stdout.splitlines()
    counts = re.fullmatch(rf"{MUTANTS} mutants of seed {SEED}: (\d+) read, (\d+) refused", summary)
    assert counts is not None, summary
    assert min(map(int, counts.groups())) > MUTANTS / 5
    assert set(REASONS) <= {reason.split(maxsplit=1)[1] for reason in reasons}


def test_a_manifest_has_the_same_values_as_in_python_however_it_is_laid_out(built: Path) -> None:
    library, chance = Library(built), random.Random(SEED)
    tokenizer = (FIXTURE / "tokenizer.json").read_bytes()
    manifest: dict[str, Any] = json.loads((FIXTURE / "mkd.json").read_bytes())
    for _ in range(MANIFESTS):
        values = {
            "labels": [_text(chance) for _ in range(chance.randint(1, 8))],
            "max_length": chance.choice([4, 32, 131072, chance.randint(4, 131072)]),
            "threshold": chance.choice([None, 0.0, 1.0, 5e-324, chance.random(), chance.random() ** 40]),
            "abstain_label": chance.choice([None, _text(chance)]),
            _text(chance): [{_text(chance): [None, True, -1.5e300]}, _text(chance)],
        }
        members = list((manifest | values).items())
        chance.shuffle(members)
        content = json.dumps(
            dict(members),
            ensure_ascii=chance.random() < 0.5,
            indent=chance.choice([None, 0, "\t"]),
            separators=chance.choice([None, (",", ":"), (" ,\r\n", "\t: ")]),
        )
        bundle = library.parse(content.encode(), tokenizer)
        assert not isinstance(bundle, str), (bundle, content)
        found = (list(bundle.label_texts), bundle.max_length, bundle.threshold, bundle.abstain_label.decode())
        expected = (values["labels"], values["max_length"], values["threshold"] or 0)
        assert found == (
            *expected,
            values["abstain_label"] if values["abstain_label"] is not None else "out_of_scope",
        )
        library.free(bundle)


def _text(chance: random.Random) -> str:
    codes = [*range(1, 0x80), 0xE9, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF]
    return "".join(map(chr, chance.choices(codes, k=chance.randint(0, 12))))
