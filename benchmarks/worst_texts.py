"""What the worst texts cost more than plain ones of the same maximum length: time and peak memory.

    python benchmarks/worst_texts.py BUNDLE [--output benchmarks/worst_texts.json]

Some characters become 18 (U+FDFA, by NFKC), or four tokens (emoji, as bytes), and a megabyte of one character
may hold no token at all. Tokenizers of three kinds read each text alone and paired with itself: WordPiece
(the bundle's), byte-level BPE that knows only bytes (the most tokens a text can have), and a Unigram behind
NFKC. Then the bundle answers each text. Every case is a process of its own; the plain text fills the maximum
length with English words. Times are of the processor, one thread.
"""

import argparse
import json
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mixkd.bench.drive.environment import read_environment
from mixkd.runtime import Classifier
from mixkd.runtime.encoding import Encoder, Text

WORST = {
    "U+FDFA 4,000": "\ufdfa" * 4_000,
    "emoji 4,000": "\U0001f600" * 4_000,
    "emoji 65,000": "\U0001f600" * 65_000,
    "Hangul 350,000 (1 MB)": "\ud55c" * 350_000,
    "letters 10,000,000": "x" * 10_000_000,
    "spaces 1,000,000": " " * 1_000_000,
    "control characters 1,000,000": "\0" * 1_000_000,
    "accents 1,000,000": "e" + "\u0301" * 1_000_000,
    "words of 3,000 letters": f"{'x' * 3_000} " * 1_000,
    "U+FDFA after spaces": " " * 4_000 + "\ufdfa" * 12_000,
}
PLAIN = "what is the weather like in the city today, and should I take a coat? " * 600
MAX_LENGTHS = (128, 512, 8_192)
PLAIN_CALLS = 20
MOST_MORE_BYTES = 100 * 2**20
MOST_MORE_S = 0.2


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(**json.loads(arguments.case))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            run_case(
                arguments.bundle, {"folder": str(folder), "max_length": length, "name": name, "pair": pair}
            )
            for folder in (arguments.bundle, *make_tokenizers(Path(scratch)))
            for length in (*MAX_LENGTHS, 0)
            if length or folder == arguments.bundle
            for name in WORST
            for pair in (False, True)
        ]
    found = {"rows": rows, "environment": asdict(read_environment())}
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    beyond = [row for row in rows if row["more_s"] > MOST_MORE_S or row["more_bytes"] > MOST_MORE_BYTES]
    worst_s, worst_bytes = (max(rows, key=lambda row: row[key]) for key in ("more_s", "more_bytes"))
    for row in (worst_s, worst_bytes, *beyond):
        print(json.dumps(row))
    print(
        f"{len(rows)} cases, {len(beyond)} more than {MOST_MORE_S} s or {MOST_MORE_BYTES >> 20} MiB "
        "over the plain text"
    )


def run_case(bundle: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Return a case measured in a process of its own."""
    command = [sys.executable, __file__, str(bundle), "--case", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(folder: str, max_length: int, name: str, pair: bool) -> dict[str, Any]:
    """Return what a worst text takes more than a plain one; a `max_length` of 0 asks the bundle itself."""
    work: Callable[[Text], object]
    if max_length:
        work = Encoder.from_folder(Path(folder), max_length=max_length, inputs=["input_ids"]).encode_one
    else:
        work = Classifier.load(folder, threads=1).predict
    plain, worst = ((text, text) if pair else text for text in (PLAIN, WORST[name]))
    plain_s = min(timed(work, plain) for _ in range(PLAIN_CALLS))
    before = peak_bytes()
    worst_s = timed(work, worst)
    return {
        "of": Path(folder).name if max_length else "predict",
        "max_length": max_length or None,
        "text": name,
        "pair": pair,
        "plain_s": round(plain_s, 5),
        "more_s": round(worst_s - plain_s, 5),
        "more_bytes": peak_bytes() - before,
    }


def make_tokenizers(folder: Path) -> list[Path]:
    """Write a byte-level and a Unigram tokenizer that know single characters only; return their folders."""
    bytes_only = Tokenizer(
        models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.post_processor = processors.RobertaProcessing(("!", 0), ("!", 0))
    known = string.ascii_letters + "\u2581?," + "".join(map(chr, range(0x621, 0x64B)))
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), *((c, -5.0) for c in known)], unk_id=0))
    unigram.normalizer = normalizers.NFKC()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.post_processor = processors.RobertaProcessing(("<unk>", 0), ("<unk>", 0))
    folders = []
    for name, tokenizer in (("byte-level", bytes_only), ("unigram-nfkc", unigram)):
        (folder / name).mkdir()
        tokenizer.save(str(folder / name / "tokenizer.json"))
        (folder / name / "tokenizer_config.json").write_text("{}", encoding="utf-8")
        folders.append(folder / name)
    return folders


def timed(work: Callable[[Text], object], text: Text) -> float:
    """Return the processor's seconds that a call takes."""
    start = time.process_time()
    work(text)
    return time.process_time() - start


def peak_bytes() -> int:
    """Return the most memory that this process held so far."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


if __name__ == "__main__":
    main()
