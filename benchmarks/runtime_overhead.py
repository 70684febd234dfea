"""What `Classifier` adds to the bare session, and how long an app waits for its first answer.

    python benchmarks/runtime_overhead.py BUNDLE [--output benchmarks/runtime_overhead.json]

One process, one thread, one text after the other: tokenizer alone, session alone on ready ids, both in a row,
and `predict`. They take turns of ten texts in random order, so that what else the machine does falls on all
alike, and each finds the caches as an app leaves them that does nothing else. Both in a row take longer than
each alone, as they empty each other's caches. Cold starts are whole processes.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mixkd.bench.drive.environment import read_environment
from mixkd.corpus.corpus import open_corpus
from mixkd.runtime import Classifier
from mixkd.runtime.manifest import TOKENIZER_FILE

TOKENS = 12
TURNS = 300
CALLS = 10
WARM_UP = 30
STARTS = 15
SEED = 3
Feed: TypeAlias = dict[str, NDArray[np.int64]]
FIRST_ANSWER = """
from mixkd.runtime import Classifier
Classifier.load({bundle!r}).predict("transfer 100 dollars to my savings")
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    calls_us, starts_ms = (
        overhead(arguments.bundle, arguments.data),
        cold_starts(arguments.bundle.absolute()),
    )
    found = {
        "tokens": TOKENS,
        "threads": 1,
        "calls_us": calls_us,
        "cold_start_ms": starts_ms,
        "environment": asdict(read_environment()),
    }
    arguments.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    for unit, samples in (("us", calls_us), ("ms", starts_ms)):
        for name, values in samples.items():
            print(f"{name:22} median {statistics.median(values):8.1f} {unit}")


def overhead(bundle: Path, data: str) -> dict[str, list[float]]:
    """Return every sample, in microseconds, of the parts and of the whole, and what the whole takes more."""
    classifier = Classifier.load(bundle, threads=1)
    # The classifier's own session and vocabulary: a second one would push the first one's out of the cache.
    session, encoder = classifier._predictor._session, classifier._encoder
    tokenizer = Tokenizer(encoder._tokenizer.model)
    whole = Tokenizer.from_file(str(bundle / TOKENIZER_FILE))
    tokenizer.normalizer, tokenizer.pre_tokenizer = whole.normalizer, whole.pre_tokenizer
    tokenizer.post_processor = whole.post_processor
    tokenizer.add_special_tokens(list(whole.get_added_tokens_decoder().values()))
    corpus = open_corpus(data)
    texts = [example.text for example in corpus.read(corpus.evaluation_split())]
    texts = [text for text in texts if len(encoder.encode([text])[0].ids) == TOKENS]
    feeds = [encoder.feed(encoder.encode([text])) for text in texts]

    def in_a_row(text: str, feed: Feed) -> None:
        tokenizer.encode(text)
        session.run(["logits"], feed)

    works: dict[str, Callable[[str, Feed], object]] = {
        "tokenizer": lambda text, _: tokenizer.encode(text),
        "session": lambda _, feed: session.run(["logits"], feed),
        "both": in_a_row,
        "predict": lambda text, _: classifier.predict(text),
    }
    samples: dict[str, list[float]] = {name: [] for name in works}
    chance = random.Random(SEED)
    names = list(works)
    for number in range(-WARM_UP, TURNS):
        chance.shuffle(names)
        first = chance.randrange(len(texts) - CALLS)
        for name in names:
            took = [timed(works[name], texts[i], feeds[i]) for i in range(first, first + CALLS)]
            if number >= 0:
                samples[name] += took
    for part in ("session", "both"):
        pairs = zip(samples["predict"], samples[part], strict=True)
        samples[f"predict_over_{part}"] = [whole - bare for whole, bare in pairs]
    return {name: [round(value, 1) for value in values] for name, values in samples.items()}


def cold_starts(bundle: Path) -> dict[str, list[float]]:
    """Return the milliseconds of whole processes, the page cache warm."""
    programs = {
        "python": "pass",
        "import_numpy": "import numpy",
        "import_mixkd_runtime": "import mixkd.runtime",
        "import_classifier": "from mixkd.runtime import Classifier",
        "first_answer": FIRST_ANSWER.format(bundle=str(bundle)),
    }
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(STARTS + 1):
        for name, program in programs.items():
            took = timed(subprocess.check_call, [sys.executable, "-c", program])
            if number:  # the first round warms the page cache
                samples[name].append(round(took / 1000, 1))
    return samples


def timed(work: Callable[..., object], *arguments: object) -> float:
    """Return the microseconds that a call takes."""
    start = time.perf_counter_ns()
    work(*arguments)
    return (time.perf_counter_ns() - start) / 1000


if __name__ == "__main__":
    main()
