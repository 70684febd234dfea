"""The committed tiny bundle, and copies of it with something changed; no torch needed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.bundle import seal_bundle

# Without their extras, as scripts/check_torch_free.sh runs these tests, two modules can't be imported.
collect_ignore = [
    module
    for module, package in (("test_deadline.py", "onnx"), ("test_signing.py", "cryptography"))
    if find_spec(package) is None
]

FIXTURE = Path(__file__).parent / "fixtures" / "bundle"
MakeBundle = Callable[..., Path]

TEXTS = (
    "send my money to the account",
    "what is the weather in paris today",
    "wake me up at 7",
    "pay",
    "",
    "show me the balance of my account, please!",
    "is it going to rain, or will the sun shine? tell me what to put on",
)


@pytest.fixture(scope="session")
def bundle() -> Path:
    return FIXTURE


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier.load(FIXTURE, threads=1)


@pytest.fixture
def texts() -> list[str]:
    return list(TEXTS)


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Return a function that copies the bundle, lets `edit` change the copy, and seals it anew."""

    def make(edit: Callable[[Path], object] | None = None, **manifest: Any) -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(FIXTURE, folder)
        opened = open_bundle(folder)
        if edit is not None:
            edit(folder)
        seal_bundle(folder, replace(opened.manifest, **manifest))
        return folder

    return make
