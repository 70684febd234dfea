"""The methods side by side: same student start, steps, batches and texts, other weights of the terms.

    python benchmarks/methods.py --teacher TEACHER [--per-class 10] [--seeds 3] [--output FILE]

`TEACHER` is what `mkd finetune` wrote. A seed fixes the training texts, their order and the pairs. Nothing is
chosen on the test split. Runs that the output file already holds aren't repeated.
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixkd.compress.config import DistillConfig, Method
from mixkd.compress.distill import distill
from mixkd.corpus.corpus import ThinnedSplit, open_corpus
from mixkd.export.judge.reference import TorchModel
from mixkd.runs import versions

LAYERS = 3
EPOCHS = 20


def main() -> None:
    """Train every method with every seed, and print mean and spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    runs: list[dict[str, Any]] = []
    if arguments.output.is_file():
        runs = json.loads(arguments.output.read_text(encoding="utf-8"))["runs"]
    found = {
        "data": arguments.data,
        "teacher_test": teacher_accuracy(arguments.teacher, arguments.data),
        "layers": LAYERS,
        "epochs": EPOCHS,
        "versions": versions(),
        "runs": runs,
    }
    for seed in range(arguments.seeds):
        for method in Method:
            asked = {"method": method.value, "seed": seed, "per_class": arguments.per_class}
            if not any(asked.items() <= run.items() for run in runs):
                score = train(arguments.teacher, arguments.data, method, seed, arguments.per_class)
                runs.append({**asked, **score})
                print(runs[-1], flush=True)
            # After every run: the whole takes the better part of an hour on two cores.
            arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for method in Method:
        found_test = [
            run["test"] for run in runs if run["method"] == method and run["per_class"] == arguments.per_class
        ]
        spread = statistics.stdev(found_test) if len(found_test) > 1 else 0.0
        print(f"{method.value:9} {100 * statistics.mean(found_test):.2f} ± {100 * spread:.2f} %")


def train(teacher: str, data: str, method: Method, seed: int, per_class: int) -> dict[str, float]:
    """Return the test accuracy, as a fraction of one, of one student."""
    corpus = open_corpus(data)
    # Nothing is chosen by it: a tenth of the validation texts is enough to watch.
    watched = {**corpus.splits, "validation": ThinnedSplit(corpus.split("validation"), 10)}
    corpus = replace(corpus, splits=watched)
    config = DistillConfig(
        method=method,
        student_layers=LAYERS,
        epochs=EPOCHS,
        max_length=64,
        train_per_class=per_class,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        metrics = distill(teacher, corpus, Path(folder) / "student", config=config).metrics
    return {"test": metrics["test"]["accuracy"]}


def teacher_accuracy(folder: str, data: str) -> float:
    """Return the teacher's own accuracy on the test split, as a fraction of one."""
    teacher = TorchModel(Path(folder))
    examples = list(open_corpus(data).read("test"))
    answers = teacher.logits([example.text for example in examples]).argmax(axis=1)
    names = teacher.module.config.id2label or {}
    return sum(names[int(i)] == e.label for i, e in zip(answers, examples, strict=True)) / len(examples)


if __name__ == "__main__":
    main()
