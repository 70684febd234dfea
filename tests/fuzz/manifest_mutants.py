"""Manifests with something changed, most sealed with a right checksum."""

import json
from pathlib import Path
from random import Random
from typing import Any

from mixkd.runtime.manifest import MANIFEST_FILE, checksum
from tests.fuzz.harness import Outcome
from tests.fuzz.json_mutants import mutate
from tests.fuzz.sealed import copied, outcome_of


def attempt(seed: int, folder: Path) -> Outcome:
    """Load and ask a bundle whose manifest was changed."""
    chance = Random(seed)
    path = copied("portable", folder) / MANIFEST_FILE
    content = mutate(json.loads(path.read_bytes()), chance)
    path.write_bytes(content if chance.random() < 0.1 else _sealed(content))
    return outcome_of(path.parent)


def _sealed(content: bytes) -> bytes:
    try:
        body: Any = json.loads(content)
        rest = {name: value for name, value in body.items() if name != "checksum"}
        return json.dumps({"checksum": checksum(rest), **rest}).encode("ascii")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return content  # it is no JSON object any more: nothing to seal
