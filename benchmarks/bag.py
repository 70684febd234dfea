"""The student without attention: its accuracy against its teacher's, its latency and its size.

    python -m benchmarks.bag run --data FOLDER --work FOLDER [--set NAME] [--method kd]
    python -m benchmarks.bag table

`run` distils a bag by the defaults from each teacher in the work folder (`teacher-SET`, which
`benchmarks.defaults` makes), exports it, and appends a line to `bag.jsonl`; those that are there already are
left out. Latency is that of the int8 graph for one text of 12 and of 64 tokens on one thread, without
tokenization, and of `Classifier.predict` for texts of the judged split.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lines import Lines
from benchmarks.sets import SETS
from benchmarks.study_report import NO_LINES, markdown, write_between
from mixkd.compress import DistillConfig, Method, distill
from mixkd.compress.shape import StudentKind
from mixkd.export import export
from mixkd.runs import read_run
from mixkd.runtime import Classifier
from mixkd.runtime.session import open_session

LINES = Lines(Path(__file__).with_suffix(".jsonl"))
MAX_LENGTH = 128
LENGTHS = (12, 64)
CALLS = 3000
TEXTS = 300
PARTS: dict[str, dict[str, Any]] = {"sst2": {"train_fraction": 0.1}}
"""The part of a set that is used, where it isn't all of it."""


def run(arguments: argparse.Namespace) -> None:
    """Train and measure what is missing and has a teacher."""
    for name in SETS:
        for method in ("kd", "mixkd"):
            cell = {"data": name, "method": method}
            teacher = arguments.work / f"teacher-{name}"
            unwanted = {arguments.set, name} - {None} != {name} or arguments.method not in (None, method)
            if unwanted or not teacher.is_dir() or LINES.has(cell):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                LINES.add(cell, measure(cell, teacher, arguments.data, Path(scratch)))


def measure(cell: Mapping[str, str], teacher: Path, data: Path, scratch: Path) -> dict[str, Any]:
    """Return what one bag reaches and costs."""
    chosen = SETS[cell["data"]]
    corpus, started = chosen.open(data), time.process_time()
    config = DistillConfig(
        student_kind=StudentKind.BAG,
        method=Method(cell["method"]),
        max_length=MAX_LENGTH,
        **PARTS.get(chosen.name, {}),
    )
    student = distill(teacher, corpus, scratch / "student", config=config)
    spent = time.process_time() - started
    made = export(student.folder, scratch / "bundle", data=corpus)
    record, taught = read_run(student.folder), read_run(teacher)
    assert record is not None
    assert taught is not None
    assert made.quality is not None
    texts = [row.content for row in islice(corpus.read(chosen.judged), TEXTS)]
    return {
        "metric": chosen.metric,
        "split": chosen.judged,
        "teacher": taught["metrics"][chosen.judged][chosen.metric],
        "student": student.metrics[chosen.judged][chosen.metric],
        "int8": made.quality.int8,
        "int8_agreement": made.quality.int8_agreement,
        "graph_us": {str(length): graph_us(made.bundle.model_path, length) for length in LENGTHS},
        "predict_us": predict_us(made.bundle.folder, texts),
        "bundle_bytes": sum(file.stat().st_size for file in made.bundle.folder.rglob("*") if file.is_file()),
        "weights_bytes": made.file_bytes,
        "epochs": record["config"]["epochs"],
        "learning_rate": record["config"]["learning_rate"],
        "processor_seconds": round(spent, 1),
    }


def graph_us(file: Path, length: int) -> dict[str, float]:
    """Return the 10th percentile and the median of one text of some tokens, in microseconds."""
    session = open_session(file, threads=1)
    ids = np.random.default_rng(0).integers(1000, 20000, (1, length))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return _quantiles([lambda: session.run(["logits"], feed)] * CALLS)


def predict_us(bundle: Path, texts: Sequence[Any]) -> dict[str, float]:
    """Return the same of text to label, tokenization included."""
    classifier = Classifier.load(bundle, threads=1)
    return _quantiles([lambda text=text: classifier.predict(text) for text in texts] * (CALLS // len(texts)))


def _quantiles(calls: Sequence[Any]) -> dict[str, float]:
    taken = []
    for number, call in enumerate([*calls[:100], *calls]):
        started = time.perf_counter_ns()
        call()
        if number >= 100:  # the first ones warm up
            taken.append((time.perf_counter_ns() - started) / 1e3)
    return {f"p{q}": round(float(np.percentile(taken, q)), 1) for q in (10, 50)}


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the table."""
    if not lines:
        return NO_LINES
    rows = [["set", "method", "teacher", "bag", "int8", "graph, 12 / 64 tokens", "text to label", "weights"]]
    for line in sorted(lines, key=lambda line: (line["cell"]["data"], line["cell"]["method"])):
        graph = " / ".join(f"{line['graph_us'][str(length)]['p50']:.0f}" for length in LENGTHS)
        rows.append(
            [
                line["cell"]["data"],
                line["cell"]["method"],
                *(f"{100 * line[name]:.2f}" for name in ("teacher", "student", "int8")),
                f"{graph} µs",
                f"{line['predict_us']['p50']:.0f} µs",
                f"{line['weights_bytes'] / 1e6:.2f} MB",
            ]
        )
    processors = ", ".join(sorted({line["processor"] for line in lines}))
    note = f"100 times the headline metric; p50 on one thread, while other programs ran ({processors})."
    return "\n".join([*markdown(rows), "", note])


def main() -> None:
    """Run what is missing, or write the table."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="train and measure what is missing")
    runs.add_argument("--data", type=Path, required=True, help="the folder with a folder for each data set")
    runs.add_argument("--work", type=Path, required=True, help="the folder of the teachers")
    runs.add_argument("--set", choices=tuple(SETS))
    runs.add_argument("--method", choices=("kd", "mixkd"))
    commands.add_parser("table", help="write the table of README.md")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    else:
        write_between("bag", table(LINES.read()))


if __name__ == "__main__":
    main()
