"""Bundles damaged by chance: each is refused, or answers as the whole one does."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixkd.errors import BundleError
from mixkd.runtime import Classifier, Prediction
from mixkd.runtime.manifest import MANIFEST_FILE, checksum
from tests.runtime.conftest import FIXTURE

MUTANTS, FORGERIES, SEED = 2000, 300, 20
NAMES = sorted(path.relative_to(FIXTURE).as_posix() for path in FIXTURE.rglob("*") if path.is_file())
JSON_NAMES = [name for name in NAMES if name.endswith(".json")]
PROBES = ["send my money to the account", "wake me up at 7"]
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    0.5,
    "",
    "int8",
    "..",
    "onnx/model.onnx",
    [],
    ["a"],
    {},
    {"a": 1},
]

Mutation = Callable[[Path, random.Random], None]


def flip_bytes(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice(NAMES)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 20))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice(NAMES)
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def extend(folder: Path, chance: random.Random) -> None:
    with (folder / chance.choice(NAMES)).open("ab") as file:
        file.write(chance.randbytes(chance.randrange(1, 50)))


def overwrite_a_stretch(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice(NAMES)
    content = path.read_bytes()
    start = chance.randrange(len(content))
    stretch = chance.choice((b"\0", b"\xff")) * min(chance.randrange(1, 4096), len(content) - start)
    path.write_bytes(content[:start] + stretch + content[start + len(stretch) :])


def swap(folder: Path, chance: random.Random) -> None:
    first, second = (folder / name for name in chance.sample(NAMES, 2))
    first.rename(folder / "between")
    second.rename(first)
    (folder / "between").rename(second)


def delete(folder: Path, chance: random.Random) -> None:
    (folder / chance.choice(NAMES)).unlink()


def link(folder: Path, chance: random.Random) -> None:
    name = chance.choice(NAMES)
    (folder / name).unlink()
    (folder / name).symlink_to(FIXTURE / name)


def reformat_json(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice(JSON_NAMES)
    body = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(body, indent=chance.choice((None, 1, 4)), sort_keys=True), encoding="utf-8")


def change_json(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice([MANIFEST_FILE, *JSON_NAMES])
    body = json.loads(path.read_text(encoding="utf-8"))
    change_value(body, chance)
    path.write_text(json.dumps(body), encoding="utf-8")


def change_value(body: Any, chance: random.Random) -> None:
    """Change, add or delete one value, as deep as chance leads."""
    keys = list(body) if isinstance(body, dict) else list(range(len(body)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(body[key], dict | list) and body[key] and chance.random() < 0.7:
        change_value(body[key], chance)
    elif chance.random() < 0.2:
        del body[key]
    elif isinstance(body[key], int) and chance.random() < 0.5:
        body[key] += chance.choice((-1, 1))
    else:
        body[key] = chance.choice(JUNK)


MUTATIONS: list[Mutation] = [
    flip_bytes,
    cut,
    extend,
    overwrite_a_stretch,
    swap,
    delete,
    link,
    reformat_json,
    change_json,
]


def answers(folder: Path) -> list[Prediction]:
    return [Classifier.load(folder, threads=1).predict(text) for text in PROBES]


@pytest.mark.slow
def test_a_damaged_bundle_is_refused_or_answers_as_the_whole_one(tmp_path: Path) -> None:
    chance, right = random.Random(SEED), answers(FIXTURE)
    refused = answered = 0
    for number in range(MUTANTS):
        folder = tmp_path / str(number)
        shutil.copytree(FIXTURE, folder)
        MUTATIONS[number % len(MUTATIONS)](folder, chance)
        try:
            assert answers(folder) == right, f"mutant {number} answers wrongly"
            answered += 1
        except BundleError:
            refused += 1
        shutil.rmtree(folder)
    assert refused + answered == MUTANTS
    assert answered > 10  # a manifest in another layout is no damage


@pytest.mark.slow
@pytest.mark.parametrize("verify", [True, False])
def test_a_forged_manifest_is_refused_or_loads(tmp_path: Path, verify: bool) -> None:
    # Its checksum is right, so that what it says is all there is to judge; it may name other labels.
    chance = random.Random(SEED)
    shutil.copytree(FIXTURE, tmp_path / "bundle")
    path = tmp_path / "bundle" / MANIFEST_FILE
    original = path.read_text(encoding="utf-8")
    refused = 0
    for _ in range(FORGERIES):
        body = json.loads(original)
        del body["checksum"]
        change_value(body, chance)
        path.write_text(json.dumps({"checksum": checksum(body), **body}), encoding="utf-8")
        try:
            Classifier.load(path.parent, threads=1, verify=verify).predict(PROBES)
        except BundleError:
            refused += 1
    assert refused > FORGERIES / 2
