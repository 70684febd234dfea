"""As many mutants as are asked for.

    python -m tests.fuzz report --count 50000 --first 0 [--packages FOLDER] [--processes 2]

`--packages` is a folder of packages that are put before the installed ones, such as another onnxruntime made
by ``pip install --target FOLDER --no-deps onnxruntime==1.21.1``. A seed alone makes a mutant again:
``--count 1 --first SEED``.
"""

import argparse
import sys
import time

from tests.fuzz.harness import SECONDS, fuzz

TARGETS = {
    "onnx": "tests.fuzz.onnx_mutants:attempt",
    "manifest": "tests.fuzz.manifest_mutants:attempt",
    "hand-made": "tests.fuzz.hand_made:attempt",
    "tokenizer": "tests.fuzz.tokenizer:attempt",
    "report": "tests.fuzz.report:attempt",
    "replies": "tests.fuzz.replies:attempt",
}


def main() -> int:
    """Run, print the counts and what isn't allowed; 1 where there is any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--packages")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    environment = {"PYTHONPATH": options.packages} if options.packages else None
    began = time.monotonic()
    tally = fuzz(
        TARGETS[options.target],
        range(options.first, options.first + options.count),
        processes=options.processes,
        seconds=options.seconds,
        environment=environment,
    )
    packages, took = options.packages or "installed packages", time.monotonic() - began
    sys.stdout.write(f"{options.target}, {packages}, {took:.0f} s: {tally}\n")
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
