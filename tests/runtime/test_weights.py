from pathlib import Path

import numpy as np
import pytest

from mixkd.errors import BundleError
from mixkd.runtime import weights
from mixkd.runtime.files import OpenFile
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from mixkd.runtime.session import open_session
from mixkd.runtime.trust import check_graph

pytestmark = pytest.mark.parametrize("name", [FP32_FILE, INT8_FILE])


@pytest.fixture(autouse=True)
def _small_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SMALLEST_BYTES", 1024)  # the fixture has none of 64 kB


def test_without_weights_leaves_them_in_the_file(bundle: Path, name: str) -> None:
    with OpenFile(bundle / name) as model:
        slim = weights.without_weights(model)
    whole = (bundle / name).read_bytes()
    assert len(slim) < len(whole)
    assert slim.count(Path(name).name.encode()) >= 1
    with pytest.raises(BundleError, match="holds its weights itself"):
        check_graph(slim)  # such a graph is for onnxruntime alone


def test_a_session_answers_the_same_from_mapped_weights(bundle: Path, name: str) -> None:
    feed = {key: np.ones((2, 9), np.int64) for key in ("input_ids", "attention_mask", "token_type_ids")}
    copied = open_session(bundle / name, threads=1).run(["logits"], feed)[0]
    mapped = open_session(bundle / name, threads=1, map_weights=True).run(["logits"], feed)[0]
    np.testing.assert_array_equal(copied, mapped)
