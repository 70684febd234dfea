"""The Node example: transformers.js loads a bundle from its folder as it is."""

from pathlib import Path

import pytest

from mixkd.runtime import open_bundle
from mixkd.runtime.bundle import write_manifest
from tests.examples.conftest import Answers
from tests.examples.programs import ask, copy_example
from tests.tools import need

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_node_gives_pythons_labels(student_bundle: Path, answers: Answers, tmp_path: Path) -> None:
    node = need("node", package="nodejs")
    example = copy_example("node", tmp_path)
    command = [node, str(example / "classify.mjs"), str(student_bundle)]
    assert ask(command, answers.texts, tmp_path) == answers.labels
