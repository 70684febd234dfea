"""The Node example: transformers.js loads a bundle from its folder as it is."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.runtime import Classifier, open_bundle
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


def test_node_abstains_below_the_bundles_threshold(
    student_bundle: Path, answers: Answers, tmp_path: Path
) -> None:
    node = need("node", package="nodejs")
    example, folder = copy_example("node", tmp_path), tmp_path / "calibrated"
    shutil.copytree(student_bundle, folder)
    manifest = open_bundle(folder).manifest
    write_manifest(folder, replace(manifest, threshold=0.5, abstain_label="nothing of that"))
    texts = answers.texts[:100]
    found = ask([node, str(example / "classify.mjs"), str(folder)], texts, tmp_path)
    assert found == [answer.label for answer in Classifier.load(folder, threads=1).predict(texts)]
    assert 0 < found.count("nothing of that") < len(texts)
