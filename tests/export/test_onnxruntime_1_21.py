"""Every graph loads and answers in onnxruntime 1.21, the oldest that mixkd promises (Debian 13 ships it)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, Recipe, TableFormat, export
from mixkd.runtime import Classifier
from tests.tiny import tiny_classifier, tiny_texts, write_answers, write_student
from tests.tools import unavailable

pytestmark = pytest.mark.slow

ANSWER = """
import json, sys
import onnxruntime
from mixkd.runtime import Classifier
bundles, texts = json.loads(sys.argv[1])
answers = [Classifier.load(bundle).predict_proba(texts).tolist() for bundle in bundles]
print(json.dumps({"version": onnxruntime.__version__, "answers": answers}))
"""


@pytest.fixture(scope="module")
def old_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with onnxruntime 1.21 alone, to be put before the installed one."""
    folder = tmp_path_factory.mktemp("onnxruntime-1.21")
    wanted = ["--target", str(folder), "--no-deps", "--only-binary", ":all:", "onnxruntime==1.21.*"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *wanted],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        unavailable(f"onnxruntime 1.21 can't be installed: {done.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One bundle per precision, recipe and table format; the table is large enough for 4 bits."""
    folder = tmp_path_factory.mktemp("bundles")
    model = tiny_classifier("bert", vocab_size=9000)
    student = write_student(folder / "student", model)
    corpus = open_corpus(write_answers(folder / "data", model, tiny_texts(40)))
    configs = {
        "fp32": ExportConfig(int8=False),
        "portable": ExportConfig(),
        "fast": ExportConfig(recipe=(Recipe.FAST,), embeddings=TableFormat.INT4),
        "static": ExportConfig(recipe=(Recipe.STATIC,)),
    }
    for name, config in configs.items():
        export(student, folder / name, config=config, data=corpus)
    return [folder / name for name in configs]


def test_bundles_answer_in_onnxruntime_1_21(bundles: list[Path], old_packages: Path) -> None:
    texts = tiny_texts(20)
    argument = json.dumps([[str(bundle) for bundle in bundles], texts])
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, argument],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(old_packages)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["version"].startswith("1.21.")
    for bundle, answers in zip(bundles, found["answers"], strict=True):
        here = Classifier.load(bundle).predict_proba(texts)
        np.testing.assert_allclose(answers, here, atol=1e-5 if bundle.name == "fp32" else 0.05)
        same = np.argmax(answers, axis=1) == here.argmax(axis=1)
        assert same.mean() >= 0.95
