"""How much memory a classifier takes, by preset, and whether it grows.

    python benchmarks/runtime_memory.py BUNDLE [--output benchmarks/runtime_memory.json]

Each preset in a fresh process: the peak after the first answer, and after a list of 512 texts. Then many
calls of every length in one process, and a million texts through `stream`, the memory read now and then.
Growth is judged by the anonymous memory: the private memory (USS) also counts the libraries' pages while no
other process happens to map them.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from mixkd.bench.drive.environment import read_environment
from mixkd.bench.worker.counters import read_memory
from mixkd.corpus.corpus import open_corpus
from mixkd.runtime import Classifier, Preset

CALLS = 200_000
TEXTS = 1_000_000
FIRST = 1_000
READINGS = 40
SEED = 7
PEAK = """
import sys
from mixkd.runtime import Classifier

def tell(stage):
    with open("/proc/self/status") as status:
        print(stage, next(line.split()[1] for line in status if line.startswith("VmHWM")))

tell("imported")
classifier = Classifier.load(sys.argv[1], preset=sys.argv[2], verify=sys.argv[3] == "verified")
classifier.predict("transfer 100 dollars to my savings")
tell("first_answer")
classifier.predict(["transfer 100 dollars to my savings " * 8] * 512)
tell("512_long_texts")
"""
"""What an app does, and nothing that it doesn't: json and psutil alone would take 2 MB."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--texts", type=int, default=TEXTS)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    presets = {str(preset): peaks(arguments.bundle, preset, "verified") for preset in Preset}
    presets["low-memory, unverified"] = peaks(arguments.bundle, Preset.LOW_MEMORY, "unverified")
    grown = growth(arguments.bundle, arguments.data, arguments.calls)
    listed = long_list(arguments.bundle, arguments.data, arguments.texts)
    found = {
        "peak_rss_bytes": presets,
        "growth": grown,
        "long_list": listed,
        "environment": asdict(read_environment()),
    }
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for preset, stages in presets.items():
        for stage, peak in stages.items():
            print(f"{preset:22} {stage:16} peak {peak / 2**20:6.1f} MiB")
    more = (grown["anonymous_bytes"][-1] - grown["anonymous_bytes"][0]) / 2**20
    print(f"{arguments.calls} calls: anonymous memory grew {more:.2f} MiB after the first {FIRST}")
    more = (max(listed["anonymous_bytes"][1:]) - listed["anonymous_bytes"][0]) / 2**20
    print(
        f"{listed['answers'][-1]} texts through stream: anonymous memory grew {more:.2f} MiB after the first "
        f"{listed['answers'][0]}"
    )


def peaks(bundle: Path, preset: Preset, trust: str) -> dict[str, int]:
    """Return the bytes that a fresh process held at most, up to each of three moments."""
    forget(bundle)
    command = [sys.executable, "-c", PEAK, str(bundle), str(preset), trust]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {stage: int(kib) * 1024 for stage, kib in map(str.split, done.stdout.splitlines())}


def forget(bundle: Path) -> None:
    """Drop the bundle's files from the page cache, as after a start of the machine.

    In which pieces Linux maps a file depends on those in which it came into the cache: of a file that was
    written in one go, eight rows of a table may count as 4 MB.
    """
    for path in bundle.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def growth(bundle: Path, data: str, calls: int) -> dict[str, list[int]]:
    """Return the memory after the first calls and at even steps up to the last."""
    classifier = Classifier.load(bundle, threads=1)
    found: dict[str, list[int]] = {"calls": [], "anonymous_bytes": [], "uss_bytes": []}
    step = (calls - FIRST) // READINGS
    for number, text in enumerate(make_texts(data, calls), start=1):
        classifier.predict(text)
        if number >= FIRST and (number - FIRST) % step == 0:
            found["calls"].append(number)
            found["anonymous_bytes"].append(anonymous_bytes())
            found["uss_bytes"].append(read_memory(detailed=True).uss_bytes or 0)
    return found


def long_list(bundle: Path, data: str, texts: int) -> dict[str, list[int]]:
    """Return the memory while texts go through `stream`, in batches, at even steps."""
    classifier = Classifier.load(bundle, preset=Preset.THROUGHPUT)
    found: dict[str, list[int]] = {"answers": [], "anonymous_bytes": []}
    step = texts // READINGS
    for number, _ in enumerate(classifier.stream(make_texts(data, texts)), start=1):
        if number % step == 0:
            found["answers"].append(number)
            found["anonymous_bytes"].append(anonymous_bytes())
    return found


def make_texts(data: str, count: int) -> Iterator[str]:
    """Yield texts, mostly short, but every length comes: memory grows when the largest yet does."""
    corpus, chance = open_corpus(data), random.Random(SEED)
    words = [word for example in corpus.read(corpus.evaluation_split()) for word in example.text.split()]
    for _ in range(count):
        length = min(int(chance.paretovariate(1.2) * 5), 200)
        start = chance.randrange(len(words) - length)
        yield " ".join(words[start : start + length])


def anonymous_bytes() -> int:
    """Return what this process itself allocated and touched."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024


if __name__ == "__main__":
    main()
