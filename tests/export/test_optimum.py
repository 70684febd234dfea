"""optimum and torch trace graphs that hold the same and answer alike; optimum runs what mkd exports.

optimum doesn't go beyond transformers 4.57: `tests/end_to_end/test_transformers_4_57.py` runs this there.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from mixkd.compress.checkpoints import load_tokenizer
from mixkd.export import Exporter
from mixkd.runtime import Classifier
from tests.exported import STUDENTS, TEXTS, check_rewrites, exported, write_real_student

pytest.importorskip(
    "optimum.exporters.onnx.convert",
    reason='needs pip install "mixkd[optimum]", which takes transformers 4.57',
    exc_type=ImportError,
)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", STUDENTS)
def test_optimum_and_torch_give_the_same(kind: str, tmp_path: Path) -> None:
    student = write_real_student(tmp_path / "student", kind)
    by_optimum, by_torch = (
        exported(student, tmp_path / exporter, exporter) for exporter in (Exporter.OPTIMUM, Exporter.TORCH)
    )
    check_rewrites(kind, by_optimum)
    assert by_torch["rewrites"] == by_optimum["rewrites"]
    assert by_torch["labels"] == by_optimum["labels"]
    np.testing.assert_allclose(by_torch["scores"], by_optimum["scores"], atol=1e-6)


def test_optimum_gives_the_labels_that_the_runtime_gives(tmp_path: Path) -> None:
    from optimum.onnxruntime import ORTModelForSequenceClassification

    student, bundle = write_real_student(tmp_path / "student", "minilm"), tmp_path / "bundle"
    exported(student, bundle, Exporter.TORCH)
    model = ORTModelForSequenceClassification.from_pretrained(
        bundle, subfolder="onnx", file_name="model_quantized.onnx"
    )
    tokenizer, theirs = load_tokenizer(bundle), []
    for text in TEXTS:
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt", truncation=True)).logits
        theirs.append(model.config.id2label[int(logits.argmax())])
    classifier = Classifier.load(bundle)
    ours = [classifier.predict(text).label for text in TEXTS]
    assert ours == theirs
    assert len(set(ours)) > 1
