"""Times students in every engine at hand, in turns, against the floor of their int8 products.

    python benchmarks/inference_peers.py --student STUDENT [--student ANOTHER] [--openvino VENV/bin/python]
        [--output benchmarks/inference_peers.json]

OpenVINO and NNCF want packages of their own, so they get an environment of their own:
``python -m venv VENV && VENV/bin/pip install openvino nncf``. Without --openvino they are left out.

Every engine lives in a process of its own; they take turns of a few calls in random order, so that a change
of the machine's mood hits all of them. The texts are encoded beforehand: what is timed is the model alone.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx

from mixkd.bench.drive.environment import read_environment
from mixkd.corpus.corpus import open_corpus
from mixkd.export.config import Recipe, TableFormat
from mixkd.export.convert import convert
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.int8.quantize import quantize
from mixkd.export.student import open_student
from mixkd.runs import versions
from mixkd.runtime.encoding import Encoder

LENGTHS = (12, 64, 128)
TURNS = 12
CALLS_PER_TURN = 10
FEEDS = 6
PAUSE_S = 0.005  # the idle threads of the engine before go to sleep
AGREEMENT_TEXTS = 600
CALIBRATION_TEXTS = 150
FLOOR = "int8 products alone"
BASE = "optimum int8"
ONNX_ENGINES = (
    "mixkd portable",
    "mixkd fast",
    "mixkd fp32",
    BASE,
    "quantize_dynamic",
    "onnxruntime fp32",
)
ENGINES = Path(__file__).with_name("inference_engines.py")


def main() -> None:
    """Measure every student and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--student", type=Path, action="append", required=True)
    parser.add_argument(
        "--layers", type=int, action="append", default=[], help="more students: its first layers"
    )
    parser.add_argument("--openvino", type=Path, help="the Python that has openvino and nncf")
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "versions": versions(),
        "environment": asdict(read_environment()),
        "students": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        students = list(arguments.student)
        students += [cut(arguments.student[0], n, Path(scratch) / f"cut-{n}") for n in arguments.layers]
        for number, student in enumerate(students):
            folder = Path(scratch) / str(number)
            layers = json.loads((student / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"]
            found = measure_student(student, folder, arguments.data, arguments.openvino)
            report["students"][f"{layers} layers"] = found
            print_tables(f"{layers} layers", found)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def cut(student: Path, layers: int, folder: Path) -> Path:
    """Save a student's first layers: its answers are worth nothing, its speed is that of a trained one."""
    opened = open_student(student, max_length=None)
    encoder: Any = opened.model.base_model
    encoder.encoder.layer = encoder.encoder.layer[:layers]
    opened.model.config.num_hidden_layers = layers
    opened.model.save_pretrained(folder)
    opened.tokenizer.save_pretrained(folder)
    return folder


def measure_student(student: Path, scratch: Path, data: str, openvino: Path | None) -> dict[str, Any]:
    """Measure one student with one thread and with two, and what its engines answer."""
    files, inputs = make_files(student, scratch)
    encoder = Encoder.from_folder(student, max_length=max(LENGTHS), inputs=inputs)
    corpus = open_corpus(data)
    texts, others = ([row.text for row in corpus.read(split)] for split in ("test", "train"))
    some = others[:: len(others) // CALIBRATION_TEXTS]
    calibration = [plain(encoder.feed([tokens])) for tokens in encoder.encode(some)]
    (scratch / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    found: dict[str, Any] = {}
    for threads in (1, 2):
        with ExitStack() as stack:
            workers = start_workers(files, threads, openvino, stack)
            found[f"threads_{threads}_ms"] = time_in_turns(workers, encoder, texts)
            if threads == 1:
                found["agreement_with_pytorch"] = agreements(workers, encoder, texts[:AGREEMENT_TEXTS])
    return found


def make_files(student: Path, scratch: Path) -> tuple[dict[str, tuple[str, Path]], Sequence[str]]:
    """Make every engine's file from one student; return kind and file by name, and the inputs' names."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    scratch.mkdir()
    (scratch / "config.json").write_bytes((student / "config.json").read_bytes())
    files = {name: scratch / f"{name.replace(' ', '-')}.onnx" for name in ONNX_ENGINES}
    opened = open_student(student, max_length=None)
    traced = convert(opened.model, opened.inputs, max_length=max(LENGTHS))
    fp32, _ = rewrite(traced, max_length=max(LENGTHS))
    onnx.save(fp32, files["mixkd fp32"])
    for recipe in (Recipe.PORTABLE, Recipe.FAST):
        onnx.save(quantize(fp32, recipe, tables=TableFormat.INT8).model, files[f"mixkd {recipe}"])
    plain = files["onnxruntime fp32"]
    onnx.save(traced, plain)
    default = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=False)
    ORTQuantizer.from_pretrained(scratch, file_name=plain.name).quantize(
        save_dir=scratch, quantization_config=default, file_suffix="optimum"
    )
    plain.with_name(f"{plain.stem}_optimum.onnx").rename(files[BASE])
    quantize_dynamic(plain, files["quantize_dynamic"], weight_type=QuantType.QInt8)
    engines = {name: ("onnx", file) for name, file in files.items()}
    engines[FLOOR] = "products", files["mixkd portable"]
    engines["openvino nncf int8"] = "openvino", plain
    engines["pytorch fp32"] = "torch", student
    engines["torch.compile fp32"] = "compiled", student
    return engines, [value.name for value in fp32.graph.input]


class Worker:
    """One engine in its own process; a context manager that ends it."""

    def __init__(self, python: str, kind: str, file: Path, threads: int) -> None:
        self._process = subprocess.Popen(
            [python, str(ENGINES), kind, str(file), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "Worker":
        self.ready = self._read() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, do: str, **fields: Any) -> Any:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


def start_workers(
    files: Mapping[str, tuple[str, Path]], threads: int, openvino: Path | None, stack: ExitStack
) -> dict[str, Worker]:
    """Start every engine that runs here."""
    workers = {}
    for name, (kind, file) in files.items():
        if kind == "openvino" and openvino is None:
            continue
        python = str(openvino) if kind == "openvino" else sys.executable
        worker = stack.enter_context(Worker(python, kind, file, threads))
        if worker.ready:
            workers[name] = worker
        else:
            print(f"{name} doesn't run here: left out", file=sys.stderr)
    return workers


def time_in_turns(
    workers: Mapping[str, Worker], encoder: Encoder, texts: Sequence[str]
) -> dict[str, dict[int, dict[str, float]]]:
    """Time every engine at every length; milliseconds."""
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in workers}
    order = random.Random(0)
    for length in LENGTHS:
        feeds = [feed_of_length(encoder, texts[30 * i : 30 * i + 30], length) for i in range(FEEDS)]
        for worker in workers.values():
            worker.ask("feeds", feeds=feeds)
        taken: dict[str, list[int]] = {name: [] for name in workers}
        for turn in range(-1, TURNS):  # the turn before 0 warms up
            calls = CALLS_PER_TURN if turn >= 0 else 1
            for name in order.sample(list(workers), len(workers)):
                time.sleep(PAUSE_S)
                times = workers[name].ask("time", feed=turn % FEEDS, calls=calls)
                taken[name] += times if turn >= 0 else []
        for name, values in taken.items():
            p10, p50, p90 = np.percentile(values, [10, 50, 90]) / 1e6
            found[name][length] = {"p10": p10, "p50": p50, "p90": p90}
    return found


def feed_of_length(encoder: Encoder, texts: Sequence[str], length: int) -> dict[str, list[list[int]]]:
    """Return a feed of real words, exactly `length` tokens: texts in a row, cut where it is enough."""
    tokens = encoder.encode([" ".join(texts)])[0]
    short = tokens._replace(ids=[*tokens.ids[: length - 1], tokens.ids[-1]], truncated=True)
    return plain(encoder.feed([short]))


def plain(feed: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    """Return a feed as JSON values."""
    return {name: array.tolist() for name, array in feed.items()}


def agreements(workers: Mapping[str, Worker], encoder: Encoder, texts: Sequence[str]) -> dict[str, float]:
    """Return each engine's share of texts answered as PyTorch answers them."""
    feeds = [plain(encoder.feed([tokens])) for tokens in encoder.encode(texts)]
    answers = {}
    for name, worker in workers.items():
        if name != FLOOR:
            worker.ask("feeds", feeds=feeds)
            answers[name] = np.array(worker.ask("answer"))
    truth = answers["pytorch fp32"]
    return {name: float((answer == truth).mean()) for name, answer in answers.items()}


def print_tables(title: str, found: Mapping[str, Any]) -> None:
    """Print p50 in Markdown: milliseconds, how many times as fast as optimum's int8, share of the floor."""
    lengths = " | ".join(f"{length} tokens" for length in LENGTHS)
    for threads in (1, 2):
        timed = found[f"threads_{threads}_ms"]
        print(f"\n| {title}, {threads} thread{'s' if threads > 1 else ''} | {lengths} | labels as PyTorch |")
        print("|---" * (len(LENGTHS) + 2) + "|")
        for name, by_length in timed.items():
            cells = [
                f"{own['p50']:.2f} ms, {timed[BASE][n]['p50'] / own['p50']:.2f}×, "
                f"{timed[FLOOR][n]['p50'] / own['p50']:.0%}"
                for n, own in by_length.items()
            ]
            agreement = found["agreement_with_pytorch"].get(name)
            last = "" if agreement is None else f"{agreement:.1%}"
            print(f"| {name} | {' | '.join(cells)} | {last} |", flush=True)


if __name__ == "__main__":
    main()
