"""Every method on every task, on a teacher that the real fine-tuning wrote."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from mixkd.compress import DistillConfig, FinetuneConfig, Method, distill, finetune
from mixkd.corpus.corpus import open_corpus
from mixkd.metrics import HEADLINE
from mixkd.task import PROBLEM_TYPES, Task
from tests.tiny import WORDS, tiny_classifier, write_student

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "max_length": 32}

LABELS: dict[Task, list[Any]] = {
    Task.SINGLE_LABEL: ["red", "green", "blue"],
    Task.MULTI_LABEL: [["red"], [], ["green", "blue"], ["red", "green", "blue"]],
    Task.REGRESSION: [0.25, 1.5, -2.0],
}
KINDS = [*((task, False) for task in Task), (Task.SINGLE_LABEL, True)]


@pytest.fixture(scope="module", params=KINDS, ids=[f"{task}{'-pairs' * pairs}" for task, pairs in KINDS])
def finetuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A teacher that `finetune` wrote, and the data of its task."""
    task, pairs = request.param
    folder = tmp_path_factory.mktemp(str(task))
    data = folder / "data"
    data.mkdir()
    for split, rows in (("train", 40), ("validation", 20)):
        lines = []
        for i in range(rows):
            row = {"text": f"{WORDS[i % 5]} {WORDS[i % 7]}", "label": LABELS[task][i % len(LABELS[task])]}
            lines.append(json.dumps(row | ({"text2": WORDS[i % 11]} if pairs else {})))
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    start = write_student(folder / "start", tiny_classifier("bert"))
    finetune(str(start), open_corpus(data), folder / "teacher", config=FinetuneConfig(**QUICK))
    config = json.loads((folder / "teacher" / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == PROBLEM_TYPES[task]
    return folder / "teacher", data


@pytest.mark.parametrize(
    "options",
    [*({"method": method} for method in Method), {"alpha_kd": 1.0}, {"alpha_kd": 1.0, "alpha_hidden": 1.0}],
    ids=lambda options: "-".join(map(str, options.values())) if "method" in options else "-".join(options),
)
def test_every_method_distils_a_finetuned_teacher(
    options: dict[str, Any], finetuned: tuple[Path, Path], tmp_path: Path
) -> None:
    teacher, data = finetuned
    config = DistillConfig(**options, student_layers=2, **QUICK)
    result = distill(str(teacher), open_corpus(data), tmp_path / "out", config=config)
    written = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert all(torch.isfinite(tensor).all() for tensor in written.state_dict().values())
    task = next(task for task, name in PROBLEM_TYPES.items() if name == written.config.problem_type)
    assert HEADLINE[task] in result.metrics["validation"]
