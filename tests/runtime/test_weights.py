from pathlib import Path

import numpy as np
import pytest

from mixkd.runtime import weights
from mixkd.runtime.bundle import FP32_FILE, INT8_FILE
from mixkd.runtime.session import open_session
from mixkd.runtime.trust import read_graph

pytestmark = pytest.mark.parametrize("name", [FP32_FILE, INT8_FILE])


@pytest.fixture(autouse=True)
def _small_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SMALLEST_BYTES", 1024)  # the fixture has none of 64 kB


def test_without_weights_leaves_them_in_the_file(bundle: Path, tmp_path: Path, name: str) -> None:
    slim = tmp_path / "slim.onnx"
    slim.write_bytes(weights.without_weights(bundle / name))
    facts, original = read_graph(slim), read_graph(bundle / name)
    assert facts.external_files == {Path(name).name}
    assert facts.operators == original.operators
    assert slim.stat().st_size < (bundle / name).stat().st_size


def test_a_session_answers_the_same_from_mapped_weights(bundle: Path, name: str) -> None:
    feed = {key: np.ones((2, 9), np.int64) for key in ("input_ids", "attention_mask", "token_type_ids")}
    copied = open_session(bundle / name, threads=1).run(["logits"], feed)[0]
    mapped = open_session(bundle / name, threads=1, map_weights=True).run(["logits"], feed)[0]
    np.testing.assert_array_equal(copied, mapped)
