"""A bundle with a file of another's making, sealed as a forger would: every hash is right."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mixkd.errors import BundleError, InputError
from mixkd.runtime import Classifier, Prediction
from mixkd.runtime.manifest import MANIFEST_FILE, checksum
from tests.fuzz.harness import Outcome

BUNDLES = Path(__file__).parent / "bundles"
TEXTS = ["", "ba", "ba da ko fo mi li", " ".join(["ruda"] * 60)]


def copied(name: str, folder: Path) -> Path:
    """Return a copy of one of the committed bundles."""
    shutil.copytree(BUNDLES / name, folder / name)
    return folder / name


def seal(folder: Path, change: Callable[[dict[str, Any]], object] | None = None) -> None:
    """Write the right sizes and hashes into a bundle's manifest, after `change` had its way with it."""
    path = folder / MANIFEST_FILE
    body = json.loads(path.read_bytes())
    for name, entry in body["files"].items():
        content = (folder / name).read_bytes()
        entry["size_bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
    if change is not None:
        change(body)
    del body["checksum"]
    path.write_text(json.dumps({"checksum": checksum(body), **body}), encoding="utf-8")


def outcome_of(folder: Path) -> Outcome:
    """Load a bundle and ask it: it must refuse, or give well-formed answers, the same each time."""
    try:
        classifier = Classifier.load(folder, threads=1)
        answers, again = ([classifier.predict(text) for text in TEXTS] for _ in range(2))
        classifier.predict(TEXTS)
        scores = classifier.predict_proba(TEXTS)
    except (BundleError, InputError) as error:
        return Outcome.REFUSED if len(str(error).splitlines()) == 1 else Outcome.WRONG
    if not np.isfinite(scores).all() or scores.shape != (len(TEXTS), len(classifier.labels)):
        return Outcome.WRONG
    right = answers == again and all(map(_is_well_formed, answers))
    return Outcome.RIGHT if right else Outcome.WRONG


def _is_well_formed(answer: Prediction) -> bool:
    return math.isfinite(answer.score) and bool(answer.label)
