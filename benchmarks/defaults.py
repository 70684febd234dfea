"""The defaults of `mkd finetune` and `mkd distill` against a grid, on seven data sets.

    python -m benchmarks.defaults run --data FOLDER --work FOLDER [--hours H] [--only default]
    python -m benchmarks.defaults table

For each set: a teacher and a 3-layer student by the defaults alone, the plain recipe that is often used with
transformers.Trainer (2e-5, 3 epochs, batch 32, the last state), and a grid of rates, batch sizes and epochs,
of which the best on the validation texts is named. `run` appends a line for each training to
`defaults.jsonl`; those that are there already are left out. The students' teacher is the default one.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.lines import Lines
from benchmarks.sets import SETS
from benchmarks.study_report import NO_LINES, markdown, write_between
from mixkd.compress import DistillConfig, FinetuneConfig, distill, finetune
from mixkd.compress.config import MINILM
from mixkd.runs import read_run

LINES = Lines(Path(__file__).with_suffix(".jsonl"))
LAYERS = 3
MAX_LENGTH = 128
PLAIN = {"learning_rate": 2e-5, "head_learning_rate": 2e-5, "epochs": 3, "batch_size": 32, "keep_best": False}
RATES = {"teacher": (5e-5, 1e-4, 2e-4), "student": (1e-4, 2e-4, 4e-4)}
EPOCHS_AND_BATCH = ((3, 32), (6, 16), (10, 32))
PARTS = {"sst2": {"train_fraction": 0.1}}
"""The part of a set that is used, where it isn't all of it."""


def cells() -> Iterator[dict[str, Any]]:
    """Yield the trainings: every default first, then the plain recipes, then the grid."""
    for recipe in ("default", "plain"):
        for data, stage in product(SETS, ("teacher", "student")):
            yield {"data": data, "stage": stage, "recipe": recipe}
    for (epochs, batch), data, stage in product(EPOCHS_AND_BATCH, SETS, ("teacher", "student")):
        for rate in RATES[stage]:
            yield {
                "data": data,
                "stage": stage,
                "recipe": "grid",
                "options": {"learning_rate": rate, "epochs": epochs, "batch_size": batch},
            }


def run(arguments: argparse.Namespace) -> None:
    """Train what is missing until the time is over."""
    end = time.monotonic() + 3600 * arguments.hours
    for cell in cells():
        wanted = {"recipe": arguments.only, "data": arguments.set, "stage": arguments.stage}
        if any(value not in (None, cell[name]) for name, value in wanted.items()) or LINES.has(cell):
            continue
        if time.monotonic() > end:
            return
        LINES.add(cell, train(cell, arguments))


def options_of(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a training."""
    own = {"default": {}, "plain": PLAIN, "grid": cell.get("options", {})}[cell["recipe"]]
    return {**own, "max_length": MAX_LENGTH, **PARTS.get(cell["data"], {})}


def train(cell: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the scores of one training; the teacher by the defaults stays in the work folder."""
    data, options = SETS[cell["data"]], options_of(cell)
    # The study's teachers saw the whole of every set.
    teacher = arguments.work / (f"teacher-{data.name}" + "-of-a-part" * (data.name in PARTS))
    keep = cell["stage"] == "teacher" and cell["recipe"] == "default"
    output = teacher if keep else arguments.work / f"trial-{data.name}"
    corpus, started, processor = data.open(arguments.data), time.monotonic(), time.process_time()
    if cell["stage"] == "teacher":
        result = finetune(MINILM, corpus, output, config=FinetuneConfig(**options), overwrite=True)
    else:
        config = DistillConfig(student_layers=LAYERS, **options)
        result = distill(teacher, corpus, output, config=config, overwrite=True)
    record = read_run(result.folder)
    assert record is not None
    names = ("learning_rate", "head_learning_rate", "epochs", "batch_size")
    return {
        "metric": data.metric,
        "validation": result.metrics["validation"][data.metric],
        "judged": result.metrics[data.judged][data.metric],
        "split": data.judged,
        "chosen": {name: record["config"][name] for name in names},
        "failed_attempts": [note for note in record["notes"] if "failed:" in note],
        "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
    }


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the table: validation scores, by which the best of the grid is chosen, and the judged ones."""
    if not lines:
        return NO_LINES
    rows = [["set", "", "chosen by the defaults", "default", "plain recipe", "best of the grid", "of", "min"]]
    for data, stage in product(SETS, ("teacher", "student")):
        here = [line for line in lines if (line["cell"]["data"], line["cell"]["stage"]) == (data, stage)]
        by_recipe = {line["cell"]["recipe"]: line for line in here}
        if "default" not in by_recipe:
            continue
        default = by_recipe["default"]
        grid = [line for line in here if line["cell"]["recipe"] == "grid"]
        best = max(grid, key=lambda line: line["validation"], default=None)
        chosen = default["chosen"]
        rows.append(
            [
                data,
                stage,
                f"{chosen['learning_rate']:.2g}, {chosen['epochs']:g} epochs of {chosen['batch_size']}",
                _score(default),
                _score(by_recipe.get("plain")),
                f"{_score(best)} {_options(best)}".strip(),
                str(len(grid)),
                f"{default['processor_seconds'] / 60:.0f}",
            ]
        )
    processors = ", ".join(sorted({line["processor"] for line in lines}))
    threads = ", ".join(sorted({str(line["threads"]) for line in lines}))
    note = f"Validation score, in brackets the judged one; minutes of processor time, {threads} threads "
    note += f"({processors})."
    return "\n".join([*markdown(rows), "", note])


def _score(line: Mapping[str, Any] | None) -> str:
    return "-" if line is None else f"{100 * line['validation']:.1f} ({100 * line['judged']:.1f})"


def _options(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return ""
    options = line["cell"]["options"]
    return f"{options['learning_rate']:g}, {options['epochs']} epochs of {options['batch_size']}"


def main() -> None:
    """Run trainings, or write the table."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="train what is missing")
    runs.add_argument("--data", type=Path, required=True, help="the folder with a folder for each data set")
    runs.add_argument("--work", type=Path, required=True, help="a folder for the models")
    runs.add_argument("--hours", type=float, default=1.0, help="start no training after this time")
    runs.add_argument("--only", choices=("default", "plain", "grid"))
    runs.add_argument("--set", choices=tuple(SETS))
    runs.add_argument("--stage", choices=tuple(RATES))
    commands.add_parser("table", help="write the table of README.md")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    else:
        write_between("defaults", table(LINES.read()))


if __name__ == "__main__":
    main()
