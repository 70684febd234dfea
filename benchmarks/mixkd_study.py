"""The study: what a student learns from its teacher's answers on mixed texts. Methods x data sets x seeds.

    python -m benchmarks.mixkd_study run --data FOLDER --work FOLDER [--hours H] [--part 1/2]
    python -m benchmarks.mixkd_study table

`run` trains one student after another and appends a line for each to `mixkd_study.jsonl`. Those that are
there already are left out, so it can be stopped and started again at any time. All cells of a seed come
before the next seed, so that whatever has been run is a balanced comparison. The teachers, made by
`mkd finetune` with its defaults on the whole training split, stay in the work folder. `table` writes the
tables of README.md.

Between the methods everything but the weights of the objective is equal: the student's start, the texts,
their order, the steps, the batch, the rates. The last state is taken; nothing is chosen on any split.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.lines import Lines
from benchmarks.sets import SETS, DataSet
from benchmarks.study_report import tables, write_between
from mixkd.compress import DistillConfig, FinetuneConfig, Method, distill, finetune
from mixkd.compress.config import MINILM
from mixkd.runs import read_run

LINES = Lines(Path(__file__).with_suffix(".jsonl"))
STEPS = 400
LAYERS = 3
SEEDS = 5
MAX_LENGTH = 128
METHODS: dict[str, dict[str, Any]] = {
    "finetune": {"method": Method.FINETUNE},
    "kd": {"method": Method.KD},
    "pkd": {"method": Method.PKD},
    "tmkd": {"method": Method.TMKD},
    "mixkd": {"method": Method.MIXKD},
    "mixkd+kd": {"method": Method.MIXKD, "alpha_kd": 1.0},
}
"""By the name in the tables: the options that differ."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One student.

    Attributes:
        data: The data set.
        amount: `little` or `whole`.
        layers: The student's.
        method: A key of `METHODS`.
        seed: Of texts, order and pairs.
    """

    data: str
    amount: str
    layers: int
    method: str
    seed: int


def cells(seeds: int) -> Iterator[Cell]:
    """Yield the cells in their order: seed by seed, all sets and methods within each."""
    for seed in range(seeds):
        for data in SETS:
            for method in METHODS:
                yield Cell(data, "little", LAYERS, method, seed)


def run(arguments: argparse.Namespace) -> None:
    """Train what is missing until the time is over."""
    end = time.monotonic() + 3600 * arguments.hours
    part, parts = (int(number) for number in arguments.part.split("/"))
    wanted = [cell for cell in cells(arguments.seeds) if cell.data in (arguments.set or SETS)]
    for number, cell in enumerate(wanted):
        # A part takes whole sets of a seed: two runs side by side don't need the same teacher at once.
        if (number // len(METHODS)) % parts != part - 1 or LINES.has(asdict(cell)):
            continue
        if time.monotonic() > end:
            return
        data = SETS[cell.data]
        LINES.add(asdict(cell), train(cell, data, teacher_of(data, arguments), arguments))


def teacher_of(data: DataSet, arguments: argparse.Namespace) -> Path:
    """Return the folder of the set's teacher, made where it is missing."""
    folder: Path = arguments.work / f"teacher-{data.name}"
    if not folder.is_dir():
        config = FinetuneConfig(max_length=MAX_LENGTH)
        finetune(MINILM, data.open(arguments.data), folder, config=config, announce=print, resume=True)
    return folder


def train(cell: Cell, data: DataSet, teacher: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the scores of a cell's student, and what they took."""
    config = DistillConfig(
        **METHODS[cell.method],
        **(data.little if cell.amount == "little" else {}),
        student_layers=cell.layers,
        steps=STEPS,
        batch_size=data.batch,
        max_length=MAX_LENGTH,
        keep_best=False,
        seed=cell.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        started, processor = time.monotonic(), time.process_time()
        result = distill(teacher, data.open(arguments.data), Path(folder) / "student", config=config)
        seconds, processor = time.monotonic() - started, time.process_time() - processor
        record = read_run(result.folder)
    assert record is not None
    weights = config.weights()
    asked = weights.distilled + (weights.mixed and config.alpha_kd is not None)
    taught = read_run(teacher) or {}
    return {
        "metric": data.metric,
        "split": data.judged,
        "score": result.metrics[data.judged][data.metric],
        "validation": result.metrics["validation"][data.metric],
        "teacher": {split: scores[data.metric] for split, scores in taught["metrics"].items()},
        "texts": record["data"]["splits"]["train"]["rows"],
        "steps": STEPS,
        "batch": data.batch,
        "learning_rate": record["config"]["learning_rate"],
        "teacher_queries": STEPS * data.batch * asked,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
    }


def main() -> None:
    """Run cells, or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="train what is missing")
    runs.add_argument("--data", type=Path, required=True, help="the folder with a folder for each data set")
    runs.add_argument("--work", type=Path, required=True, help="a folder for the teachers")
    runs.add_argument("--hours", type=float, default=1.0, help="start no cell after this time")
    runs.add_argument("--seeds", type=int, default=SEEDS)
    runs.add_argument("--set", action="append", choices=tuple(SETS), help="only this set; may be repeated")
    runs.add_argument("--part", default="1/1", help="run every n-th group of cells: 1/2 and 2/2 side by side")
    commands.add_parser("table", help="write the tables of README.md")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    else:
        write_between("study", tables(LINES.read()))


if __name__ == "__main__":
    main()
