from pathlib import Path

import pytest

from mixkd.runtime.bundle import FP32_FILE, INT8_FILE
from mixkd.runtime.graph import read_graph
from mixkd.runtime.weights import without_weights


@pytest.mark.parametrize("name", [FP32_FILE, INT8_FILE])
def test_without_weights_leaves_them_in_the_file(bundle: Path, tmp_path: Path, name: str) -> None:
    slim = tmp_path / "slim.onnx"
    slim.write_bytes(without_weights(bundle / name))
    facts, original = read_graph(slim), read_graph(bundle / name)
    assert facts.external_files == {Path(name).name}
    assert facts.operators == original.operators
    assert slim.stat().st_size < (bundle / name).stat().st_size
