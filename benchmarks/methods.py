"""The methods side by side: same student start, steps, batches and texts, other weights of the terms.

    python benchmarks/methods.py [--teacher FOLDER] [--per-class 10] [--seeds 3] [--output FILE]

The teacher is MiniLM, fine-tuned on the whole training split by `finetune` with the quickstart's options, or
a folder that `mkd finetune` wrote. A seed fixes the training texts, their order and the pairs. Nothing is
chosen on the test split. Runs that the output file already holds for the same teacher aren't repeated.
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixkd.compress import DistillConfig, FinetuneConfig, Method, distill, finetune
from mixkd.compress.config import MINILM
from mixkd.corpus.corpus import ThinnedSplit, open_corpus
from mixkd.runs import read_run, versions

LAYERS = 3
EPOCHS = 20
TEACHER = FinetuneConfig(
    epochs=2, batch_size=64, learning_rate=3e-4, dropout=0.0, freeze_embeddings=True, max_length=64
)
"""The quickstart's options."""


def main() -> None:
    """Train every method with every seed, and print mean and spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, help="a folder that finetune wrote; without it one is made")
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of every student")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        teacher = arguments.teacher
        if teacher is None:
            teacher = finetune(
                MINILM, open_corpus(arguments.data), Path(scratch) / "teacher", config=TEACHER
            ).folder
        found = {
            "data": arguments.data,
            "teacher": describe(teacher),
            "layers": LAYERS,
            "epochs": arguments.epochs,
            "versions": versions(),
        }
        runs = earlier_runs(arguments.output, found)
        for seed in range(arguments.seeds):
            for method in Method:
                asked = {"method": method.value, "seed": seed, "per_class": arguments.per_class}
                if not any(asked.items() <= run.items() for run in runs):
                    runs.append(asked | train(teacher, method, seed, arguments))
                    print(runs[-1], flush=True)
                # After every run: the whole takes the better part of an hour on two cores.
                arguments.output.write_text(
                    json.dumps(found | {"runs": runs}, indent=1) + "\n", encoding="utf-8"
                )
    for method in Method:
        scores = [
            run["test"] for run in runs if run["method"] == method and run["per_class"] == arguments.per_class
        ]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(f"{method.value:9} {100 * statistics.mean(scores):.2f} ± {100 * spread:.2f} %")


def describe(teacher: Path) -> dict[str, Any]:
    """Return what finetune recorded of the teacher, and the sha256 of its weights."""
    run = read_run(teacher)
    if run is None or run.get("stage") != "finetune":
        sys.exit(f"{teacher} holds no run.json of mkd finetune")
    with (teacher / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    described = {key: run[key] for key in ("inputs", "config", "metrics", "versions")}
    return {"sha256": digest, **described}


def earlier_runs(file: Path, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs that the file holds, if they were made with the same teacher and epochs."""
    if not file.is_file():
        return []
    earlier = json.loads(file.read_text(encoding="utf-8"))
    same = all(earlier.get(key) == found[key] for key in ("data", "teacher", "layers", "epochs"))
    runs: list[dict[str, Any]] = earlier["runs"] if same else []
    return runs


def train(teacher: Path, method: Method, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the test accuracy, as a fraction of one, of one student."""
    corpus = open_corpus(arguments.data)
    # Nothing is chosen by it: a tenth of the validation texts is enough to watch.
    watched = {**corpus.splits, "validation": ThinnedSplit(corpus.split("validation"), 10)}
    corpus = replace(corpus, splits=watched)
    config = DistillConfig(
        method=method,
        student_layers=LAYERS,
        epochs=arguments.epochs,
        max_length=64,
        train_per_class=arguments.per_class,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        metrics = distill(str(teacher), corpus, Path(folder) / "student", config=config).metrics
    return {"test": metrics["test"]["accuracy"]}


if __name__ == "__main__":
    main()
