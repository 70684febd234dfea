"""Memory of a distillation against the size of its data: the texts stay on disk.

    python benchmarks/data_memory.py --teacher TEACHER [--texts 20000 200000 2000000] [--output FILE]

For each size a file of synthetic texts, made of clinc150's words and labels, is distilled by `mkd distill` as
a user runs it: checked, tokenised, and then 20 steps of training, whose cost doesn't depend on the size. The
process's memory is sampled from outside ten times a second. Anonymous memory is what the machine must have;
the rest of the resident memory is mapped files, which the system drops when others need the room.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from mixkd.bench.drive.environment import read_environment
from mixkd.corpus.corpus import open_corpus
from mixkd.runs import versions

STEPS, BATCH = 20, 64


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--texts", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    runs = []
    for count in arguments.texts:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(measure(arguments.teacher, count, Path(folder)))
        print(runs[-1], flush=True)
    found = {"steps": STEPS, "versions": versions(), "environment": asdict(read_environment()), "runs": runs}
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measure(teacher: str, count: int, folder: Path) -> dict[str, float]:
    """Distil `count` texts and return peaks in MiB, the file's size in MB and the seconds it took."""
    data = folder / "data"
    data.mkdir()
    write_texts(data / "train.tsv", count)
    write_texts(data / "validation.tsv", 300)
    epochs = STEPS / -(-count // BATCH)
    options = ["--batch-size", BATCH, "--epochs", epochs, "--student-layers", 3, "--max-length", 64]
    words = ["--teacher", teacher, "--data", data, "--output", folder / "student", *options]
    command = [sys.executable, "-m", "mixkd.cli", "distill", *map(str, words)]
    started = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    anonymous = resident = 0.0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        kib = dict(line.split(":", 1) for line in status.splitlines())
        anonymous = max(anonymous, float(kib.get("RssAnon", "0 kB").split()[0]) / 1024)
        resident = max(resident, float(kib.get("VmHWM", "0 kB").split()[0]) / 1024)
        time.sleep(0.1)
    if process.returncode != 0:
        sys.exit(f"mkd distill failed on {count} texts")
    return {
        "texts": count,
        "file_mb": round((data / "train.tsv").stat().st_size / 1e6, 1),
        "peak_anonymous_mib": round(anonymous, 1),
        "peak_resident_mib": round(resident, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


def write_texts(path: Path, count: int) -> None:
    """Write synthetic labelled texts of 3 to 20 words."""
    examples = list(open_corpus("clinc150").read("train"))
    words = sorted({word for example in examples for word in example.text.split()})
    labels = sorted({str(example.label) for example in examples})
    rng = random.Random(count)
    with path.open("w", encoding="utf-8") as file:
        file.write("text\tlabel\n")
        for _ in range(count):
            file.write(f"{' '.join(rng.choices(words, k=rng.randint(3, 20)))}\t{rng.choice(labels)}\n")


if __name__ == "__main__":
    main()
