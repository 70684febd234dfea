"""The example for onnxruntime's own format: the same logits, and a list of the operators."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "tests/runtime/fixtures/bundle"


def logits(graph: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    ids = np.array([[2, 7, 9, 11, 3], [2, 8, 3, 0, 0]], dtype=np.int64)
    mask = (ids > 0).astype(np.int64)
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (answer,) = session.run(["logits"], {one.name: given[one.name] for one in session.get_inputs()})
    return np.asarray(answer)


def convert(bundle: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "examples/other_formats/to_ort.py"
    words = [sys.executable, str(script), str(bundle), str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_ort_file_gives_the_logits_of_the_bundle_and_lists_its_operators(tmp_path: Path) -> None:
    done = convert(BUNDLE, tmp_path / "ort")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "ort").iterdir()}
    assert names == {"model_quantized.ort", "required_operators_and_types.config"}
    original = logits(BUNDLE / "onnx/model_quantized.onnx")
    assert np.ptp(original) > 0.1
    np.testing.assert_allclose(logits(tmp_path / "ort/model_quantized.ort"), original, atol=1e-4)
    operators = (tmp_path / "ort/required_operators_and_types.config").read_text(encoding="utf-8")
    assert "DynamicQuantizeLinear" in operators
    assert "LayerNormalization" in operators


def test_nothing_is_written_of_a_bundle_that_is_none(tmp_path: Path) -> None:
    assert convert(tmp_path, tmp_path / "ort").returncode != 0
    assert not (tmp_path / "ort").exists()
