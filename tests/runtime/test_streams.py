"""Many texts, one after another or at once: streams, threads, tasks, processes and forks."""

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import pytest

from mixkd.runtime import Classifier, ConfigError, InputError, Prediction


def test_stream_reads_one_window_ahead_and_keeps_the_order(classifier: Classifier, texts: list[str]) -> None:
    pulled = 0

    def source() -> Iterator[str]:
        nonlocal pulled
        while True:
            yield texts[pulled % len(texts)]
            pulled += 1

    answers = classifier.stream(source(), window=5)
    first = [next(answers) for _ in range(12)]
    assert pulled < 15
    assert first == [classifier.predict(texts[i % len(texts)]) for i in range(12)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which Linux alone has")
def test_stream_of_100000_texts_runs_at_flat_memory(bundle: Path) -> None:
    def anonymous_kib() -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))

    classifier = Classifier.load(bundle, threads=1, preset="throughput")
    endings = ("", " now", " to my account in paris today, please", " wake me up" * 12)
    texts = (f"pay {number}{endings[number % 4]}" for number in range(100_000))
    answers = classifier.stream(texts)
    first = sum(1 for _ in islice(answers, 10_000))
    before = anonymous_kib()
    assert first + sum(1 for _ in answers) == 100_000
    # The texts and answers alone, kept, would be 40 MiB.
    assert anonymous_kib() - before < 2048


def test_stream_refuses_one_text_and_an_impossible_window(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="not one str"):
        next(classifier.stream("pay"))
    with pytest.raises(ConfigError, match="window is 0"):
        next(classifier.stream(["pay"], window=0))
    with pytest.raises(InputError, match="not int"):
        list(classifier.stream([1]))  # type: ignore[list-item]  # what is wrong is what is tested


def test_predict_gives_the_same_answers_from_1_and_from_32_threads(
    classifier: Classifier, texts: list[str]
) -> None:
    one = [classifier.predict(text) for text in texts * 30]
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(classifier.predict, texts * 30)) == one


def test_predict_async_answers_as_predict_does(classifier: Classifier, texts: list[str]) -> None:
    async def ask() -> list[Prediction]:
        return await asyncio.gather(*(classifier.predict_async(text) for text in texts))

    assert asyncio.run(ask()) == [classifier.predict(text) for text in texts]
    assert asyncio.run(classifier.predict_async(texts, top_k=2)) == classifier.predict(texts, top_k=2)


def test_classifier_survives_a_pickle_with_its_options(bundle: Path) -> None:
    original = Classifier.load(bundle, threads=1, threshold=1.0, abstain_label="oos", preset="low-memory")
    copy = pickle.loads(pickle.dumps(original))
    assert copy.predict("pay", top_k=2) == original.predict("pay", top_k=2)
    assert copy.predict("pay").label == "oos"


def test_classifier_answers_in_a_spawned_process(classifier: Classifier, texts: list[str]) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(classifier.predict, texts)) == [classifier.predict(text) for text in texts]


FORK = """
import os, signal, sys
from mixkd.runtime import Classifier
classifier = Classifier.load(sys.argv[1], threads=int(sys.argv[2]))
texts = ["pay", "wake me up at 7", "is it going to rain?"] * 50
mine = classifier.predict(texts)
child = os.fork()
if child == 0:
    signal.alarm(60)  # a hang ends here
    if sys.argv[3] == "asks":
        assert classifier.predict(texts) == mine
    sys.exit(0)  # the way out runs destructors, which hang where a session's threads are gone
_, status = os.waitpid(child, 0)
assert classifier.predict(texts) == mine
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("threads", ["1", "2", "4"])
@pytest.mark.parametrize("child", ["asks", "only exits"])
def test_classifier_answers_in_a_forked_child(bundle: Path, threads: str, child: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, bundle, threads, child], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
