from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mixkd.errors import BundleError
from mixkd.runtime import single
from mixkd.runtime.encoding import Encoder, Text
from mixkd.runtime.manifest import INT8_FILE, LOGITS
from mixkd.runtime.predictor import Predictor
from mixkd.runtime.session import open_session
from mixkd.runtime.single import _KEPT, Answer, SinglePredictor

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
MIXED: list[Text] = [
    "pay",
    ("pay", "the account"),
    "what is the weather",
    "",
    ("", "rain"),
    "pay now",
    "a " * 99,
]


class Both:
    """The way of one text, and the way of a batch with one text in it."""

    def __init__(self, folder: Path, *, max_length: int = 32) -> None:
        session = open_session(folder / INT8_FILE, threads=1)
        self.encoder = Encoder.from_folder(folder, max_length=max_length, inputs=INPUTS)
        self.single = SinglePredictor(session, output=LOGITS, width=5)
        self.predictor = Predictor(session, self.encoder)

    def ask(self, text: Text, read: Callable[[NDArray[np.float32], bool], Answer]) -> Answer:
        return self.single.run(self.encoder.encode_one(text), read)

    def alone(self, text: Text) -> NDArray[np.float32]:
        outputs: NDArray[np.float32] = self.ask(text, lambda outputs, _: outputs.copy())
        return outputs

    def in_a_batch(self, text: Text) -> NDArray[np.float32]:
        outputs: NDArray[np.float32] = self.predictor.outputs([text])[0]
        return outputs


@pytest.fixture
def both(bundle: Path) -> Both:
    return Both(bundle)


def test_run_gives_the_very_numbers_of_a_batch_of_one(both: Both) -> None:
    for text in MIXED * 3:  # the second time with arrays that another text has used
        np.testing.assert_array_equal(both.alone(text), both.in_a_batch(text))


def test_run_tells_whether_the_text_was_truncated(both: Both) -> None:
    assert [both.ask(text, lambda _, truncated: truncated) for text in MIXED] == [False] * 6 + [True]


def test_run_is_the_same_from_many_threads_that_share_the_arrays(both: Both) -> None:
    texts = MIXED * 60
    expected = [both.in_a_batch(text) for text in MIXED]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(both.alone, texts))
    for i, answer in enumerate(found):
        np.testing.assert_array_equal(answer, expected[i % len(MIXED)])


def test_arrays_are_used_again_and_only_a_few_are_kept(both: Both) -> None:
    def ask_again(depth: int) -> Callable[[NDArray[np.float32], bool], int]:
        # While one call reads its outputs, the next one is on its way, as from so many threads.
        return lambda _outputs, _: both.ask("pay", ask_again(depth - 1)) if depth else 0

    both.ask("pay", ask_again(2 * _KEPT))
    ((_, kept),) = both.single._free.items()
    assert len(kept) == _KEPT
    before = list(kept)
    both.alone("pay")
    assert set(map(id, kept)) == set(map(id, before))


def test_arrays_of_long_texts_are_not_kept(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    # The graph has positions for 32 tokens: the bound is lowered to where it can still answer beyond it.
    monkeypatch.setattr(single, "LONGEST_KEPT", 8)
    for words in (2, 6, 7, 20):
        np.testing.assert_array_equal(both.alone("pay " * words), both.in_a_batch("pay " * words))
    assert [length for length, _ in both.single._free] == [4, 8]


def test_a_failed_call_leaves_the_next_one_unharmed(bundle: Path) -> None:
    both = Both(bundle, max_length=40)
    expected = both.alone("pay")
    for _ in range(3):
        with pytest.raises(BundleError, match="the graph can't answer, export the bundle again"):
            both.alone("pay " * 50)
    np.testing.assert_array_equal(both.alone("pay"), expected)
