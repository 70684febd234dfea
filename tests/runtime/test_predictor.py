import random
from pathlib import Path

import numpy as np
import pytest

from mixkd.errors import BundleError
from mixkd.runtime.encoding import Encoder
from mixkd.runtime.manifest import FP32_FILE
from mixkd.runtime.predictor import WINDOW, Predictor, cut_batches
from mixkd.runtime.session import open_session

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> Predictor:
    # fp32: its answers don't depend on the batch.
    session = open_session(bundle / FP32_FILE, threads=1)
    return Predictor(session, Encoder.from_folder(bundle, max_length=32, inputs=INPUTS))


def test_cut_batches_takes_each_text_once_within_the_budget() -> None:
    lengths = random.Random(1).choices(range(1, 100), k=500)
    batches = list(cut_batches(lengths, 256))
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 256 for batch in batches)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)  # near lengths together: hardly any padding


def test_cut_batches_gives_a_text_beyond_the_budget_a_batch_of_its_own() -> None:
    assert list(cut_batches([500, 3, 4], 10)) == [[1, 2], [0]]
    assert list(cut_batches([], 10)) == []


def test_outputs_keep_the_order_across_batches_and_windows(predictor: Predictor, texts: list[str]) -> None:
    alone = np.concatenate([predictor.outputs([text]) for text in texts])
    many = predictor.outputs(texts * (WINDOW // 3), max_batch_tokens=100)
    assert many.dtype == np.float32
    np.testing.assert_allclose(many, np.tile(alone, (WINDOW // 3, 1)), atol=1e-5)


def test_outputs_of_no_texts_have_the_width_of_the_outputs(predictor: Predictor) -> None:
    assert predictor.outputs([]).shape == (0, 5)


def test_outputs_raise_a_bundle_error_when_the_graph_can_not_answer(bundle: Path) -> None:
    # 40 tokens where the graph has positions for 32.
    encoder = Encoder.from_folder(bundle, max_length=40, inputs=INPUTS)
    predictor = Predictor(open_session(bundle / FP32_FILE, threads=1), encoder)
    with pytest.raises(BundleError, match="the graph can't answer"):
        predictor.outputs(["pay " * 50])
