"""A training of two processes on loopback, started by torchrun as the README says."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mixkd.compress import distill
from mixkd.compress.checkpoints import load_tokenizer
from mixkd.compress.config import DistillConfig
from mixkd.compress.weights import Method
from mixkd.corpus.corpus import open_corpus

pytestmark = [pytest.mark.slow, pytest.mark.alone]

EPOCHS, BATCH = 3, 5

# Every process writes what its steps saw and drew, and whether it wrote the result.
_SPY = """
import json, os, sys
from mixkd.compress import objective, run, trainer
from mixkd.cli import main
log = open(os.environ["SPY"] + os.environ["RANK"], "w")
compute, draw, write = trainer.ObjectiveTrainer.compute_loss, objective.draw_mix, run.RunRecord.write
def compute_loss(self, model, inputs, *arguments, **options):
    seen = [row[row != 0].tolist() for row in inputs["input_ids"]]
    log.write(json.dumps({"epoch": int(self.state.epoch), "seen": seen}) + "\\n")
    return compute(self, model, inputs, *arguments, **options)
def draw_mix(*arguments, **options):
    mix = draw(*arguments, **options)
    log.write(json.dumps({"shares": mix.lam.tolist()}) + "\\n")
    return mix
def write_record(*arguments):
    log.write(json.dumps({"saved": True}) + "\\n")
    write(*arguments)
trainer.ObjectiveTrainer.compute_loss, objective.draw_mix = compute_loss, draw_mix
run.RunRecord.write = write_record
try:
    main()
finally:
    log.close()
"""


def torchrun(*words: object, spy: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `mkd` in two processes that share this machine's loopback."""
    command: list[object] = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", 2]
    command += [
        "--standalone",
        "--no-python",
        sys.executable,
        "-c",
        _SPY if spy else "from mixkd.cli import main; main()",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"SPY": str(spy)} if spy else {})
    return subprocess.run(
        [*map(str, command), *map(str, words)], capture_output=True, text=True, env=environment, check=False
    )


def words_for(teacher: Path, data: Path, output: Path, method: str) -> list[object]:
    named = ["distill", "--teacher", teacher, "--data", data, "--output", output, "--method", method]
    return [
        *named,
        "--epochs",
        EPOCHS,
        "--batch-size",
        BATCH,
        "--max-length",
        32,
        "--student-layers",
        2,
        "--dropout",
        0.0,
    ]


def test_two_processes_train_what_one_does_with_two_batches_a_step(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    ran = torchrun(*words_for(teacher, data, tmp_path / "two", "kd"))
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.count("student: ") == 1  # one of them speaks
    config = DistillConfig(
        method=Method.KD,
        epochs=EPOCHS,
        batch_size=BATCH,
        gradient_accumulation=2,
        max_length=32,
        student_layers=2,
        dropout=0.0,
    )
    one = distill(str(teacher), open_corpus(data), tmp_path / "one", config=config)
    record = json.loads((tmp_path / "two" / "run.json").read_text(encoding="utf-8"))
    for split, values in one.metrics.items():
        # Not the loss: transformers counts the texts that fill the last batch up twice in its mean.
        assert record["metrics"][split]["accuracy"] == values["accuracy"]
        assert record["metrics"][split]["macro_f1"] == pytest.approx(values["macro_f1"])
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-6, name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_each_text_is_seen_once_an_epoch_and_the_shares_are_each_processs_own(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    ran = torchrun(*words_for(teacher, data, tmp_path / "out", "mixkd"), spy=tmp_path / "spy")
    assert ran.returncode == 0, ran.stderr[-3000:]
    lines: list[list[dict[str, Any]]] = [
        [json.loads(line) for line in (tmp_path / f"spy{rank}").read_text(encoding="utf-8").splitlines()]
        for rank in (0, 1)
    ]
    tokenizer = load_tokenizer(teacher)
    texts = Counter(
        tuple(tokenizer(example.text)["input_ids"]) for example in open_corpus(data).read("train")
    )
    for epoch in range(EPOCHS):
        seen = [row for rank in lines for line in rank if line.get("epoch") == epoch for row in line["seen"]]
        assert Counter(map(tuple, seen)) == texts
    shares = [[tuple(line["shares"]) for line in rank if "shares" in line] for rank in lines]
    steps = EPOCHS * 60 // (2 * BATCH)
    assert [len(rank) - steps for rank in shares] == [2, 0]  # the first process timed two steps beforehand
    shares[0] = shares[0][2:]
    assert len({*shares[0], *shares[1]}) == 2 * len(shares[0])
    assert [sum("saved" in line for line in rank) for rank in lines] == [1, 0]


def test_error_of_the_first_process_ends_all(teacher: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    ran = torchrun(*words_for(teacher, data, tmp_path / "out", "kd"))
    assert ran.returncode != 0
    assert "mkd: " in ran.stderr
    assert "holds mine, which mkd did not write" in ran.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
