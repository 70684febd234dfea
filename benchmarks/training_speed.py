"""How many examples a second one MixKD step takes in, against plain ways to write the same step.

    python benchmarks/training_speed.py --teacher TEACHER [--data clinc150 ...] [--output FILE]

One process, all cores, the contenders in turns; the same student, texts, pairs per batch and objective
(L_MLE + L_SM + L_TMKD). Examples per second are all examples over all time, since batches differ in length.

    ours        the step of `ObjectiveTrainer`, in the precision it chooses for this machine
    plain       float32, one forward per term, every text padded to max_length, AdamW unfused
    usual       the same, padded to the longest of the batch, under bf16 autocast
    usual-fp32  the same in float32: on a processor without bf16 instructions the stronger of the two

`--accuracy` also trains ours and usual-fp32 for some steps each and judges them on the test split, where the
teacher knows the labels of the set: speed counts only as far as a step is worth as much.
"""

import argparse
import copy
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, PreTrainedModel, get_linear_schedule_with_warmup

from mixkd.bench.drive.environment import read_environment
from mixkd.compress.checkpoints import load_tokenizer, load_with_new_head
from mixkd.compress.config import DistillConfig
from mixkd.compress.data import Collator, TrainingData, prepare
from mixkd.compress.first_token import first_token_only
from mixkd.compress.inputs import Selection
from mixkd.compress.locate import find_model
from mixkd.compress.mixup import Mix, draw_mix
from mixkd.compress.objective import Objective
from mixkd.compress.student import cut_layers
from mixkd.compress.trainer import ObjectiveTrainer
from mixkd.compress.weights import Mixing
from mixkd.corpus.corpus import open_corpus
from mixkd.labels import LabelSpace, read_label_space
from mixkd.runs import versions

LAYERS, BATCH, MAX_LENGTH, RATE = 3, 32, 128, 2e-4
ROUNDS = 12
STEPS = {"ours": 8, "usual-fp32": 4, "usual": 2, "plain": 1}
"""Steps of each in one round: the fast ones need more batches to meet every length."""

TRAININGS = (("ours", 200), ("ours", 300), ("usual-fp32", 200))
SEEDS = (13, 14)

Batch = dict[str, Tensor]
Step = Callable[[], None]


@dataclass(frozen=True)
class Setting:
    """One data set, ready to train on."""

    teacher: PreTrainedModel
    student: PreTrainedModel
    labels: LabelSpace
    data: TrainingData
    collator: Collator
    knows_the_labels: bool
    folder: Path


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", nargs="+", default=["clinc150"])
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    rate = matrix_product_rate()
    found: dict[str, Any] = {
        "batch_size": BATCH,
        "max_length": MAX_LENGTH,
        "student_layers": LAYERS,
        "threads": torch.get_num_threads(),
        "matrix_product_gflops": round(rate / 1e9, 1),
        "versions": versions(),
        "environment": asdict(read_environment()),
        "sets": {},
    }
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as folder:
            setting = prepare_setting(arguments.teacher, name, Path(folder))
            measured = measure(setting, rate)
            if arguments.accuracy and setting.knows_the_labels:
                measured["accuracy"] = accuracies(setting)
        found["sets"][Path(name).name] = measured
        report(name, measured)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def prepare_setting(teacher: str, name: str, folder: Path) -> Setting:
    """Tokenise a data set; a teacher of other labels gets a new head, which costs the same."""
    corpus = open_corpus(name)
    labels = read_label_space(corpus, task=None)
    path = find_model(teacher)
    tokenizer = load_tokenizer(path)
    data = prepare(
        corpus, labels, tokenizer, max_length=MAX_LENGTH, selection=Selection(), cache=folder / "data"
    )
    model = load_with_new_head(path, labels).eval().requires_grad_(False)
    student = cut_layers(model, LAYERS).requires_grad_(True)
    known = AutoConfig.from_pretrained(path, trust_remote_code=False).id2label or {}
    knows = set(known.values()) == set(labels.names)
    return Setting(model, student, labels, data, Collator(tokenizer, labels), knows, folder)


def measure(setting: Setting, rate: float) -> dict[str, Any]:
    """Return every step's seconds, the examples per second and the ratios, round by round."""
    with ExitStack() as stack:
        steps = contenders(setting, stack)
        for step in steps.values():
            step()  # warm
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, step in steps.items():
                for _ in range(STEPS[name]):
                    start = time.perf_counter()
                    step()
                    seconds[name].append(time.perf_counter() - start)
        counter = FlopCounterMode(display=False)
        with counter:
            for _ in range(STEPS["ours"]):
                steps["ours"]()
    per_step = counter.get_total_flops() / STEPS["ours"]
    speed = {name: BATCH * len(taken) / sum(taken) for name, taken in seconds.items()}
    return {
        "examples_per_second": {name: round(value, 2) for name, value in speed.items()},
        "ours_against": {n: interval(seconds["ours"], taken) for n, taken in seconds.items() if n != "ours"},
        "ours_gflop_per_step": round(per_step / 1e9, 2),
        "ours_share_of_matrix_product_rate": round(per_step / statistics.mean(seconds["ours"]) / rate, 3),
        "seconds": {name: [round(s, 5) for s in taken] for name, taken in seconds.items()},
    }


def interval(ours: list[float], other: list[float]) -> dict[str, float]:
    """Return how many times as fast ours is, with a 95 % bootstrap interval over the steps."""
    rng = np.random.default_rng(0)
    means = [
        rng.choice(taken, (2000, len(taken))).mean(axis=1) for taken in (np.array(other), np.array(ours))
    ]
    low, high = np.quantile(means[0] / means[1], [0.025, 0.975])
    ratio = statistics.mean(other) / statistics.mean(ours)
    return {"times": round(ratio, 2), "low": round(float(low), 2), "high": round(float(high), 2)}


def contenders(setting: Setting, stack: ExitStack) -> dict[str, Step]:
    """Return one step of each, with a student and an optimiser of its own."""
    return {
        "ours": our_step(setting, stack),
        "usual-fp32": Plain(setting, length=None, autocast=False).step,
        "usual": Plain(setting, length=None, autocast=True).step,
        "plain": Plain(setting, length=MAX_LENGTH, autocast=False).step,
    }


def our_step(setting: Setting, stack: ExitStack) -> Step:
    """Return the step that `mkd distill` takes, from the loader to the optimiser."""
    trainer = our_trainer(setting, stack, epochs=1.0)
    optimizer = trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1  # its training loop would set it
    batches = endless(trainer.get_train_dataloader())

    student = trainer.objective.student

    def step() -> None:
        trainer.training_step(student, next(batches))
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def our_trainer(setting: Setting, stack: ExitStack, *, epochs: float, seed: int = 13) -> ObjectiveTrainer:
    """Return the trainer of `mkd distill`."""
    student, teacher = copy.deepcopy(setting.student), copy.deepcopy(setting.teacher)
    for model in (student, teacher):
        stack.enter_context(first_token_only(model))
    config = DistillConfig(
        batch_size=BATCH, epochs=epochs, learning_rate=RATE, head_learning_rate=10 * RATE, seed=seed
    )
    config = config.with_length(MAX_LENGTH)
    objective = Objective(
        student, teacher, task=setting.labels.task, weights=config.weights(), mixing=config.mixing()
    )
    return ObjectiveTrainer(
        objective,
        config=config,
        train=setting.data.train,
        validation=setting.data.evaluated["validation"],
        collator=setting.collator,
        checkpoints=setting.folder / "checkpoints",
    )


class Plain:
    """The objective as one reads it: one forward per term, one term after the other.

    Args:
        setting: The data and the models; the student is copied.
        length: What texts are padded to; None pads to the longest of the batch.
        autocast: Whether the forwards run in bf16.
        seed: Of the order, the pairs and the dropout.
    """

    def __init__(self, setting: Setting, *, length: int | None, autocast: bool, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.student = copy.deepcopy(setting.student).train()
        self._teacher = setting.teacher
        self._autocast = autocast
        named = list(self.student.named_parameters())
        head = [p for name, p in named if "pooler" in name or "classifier" in name]
        body = [p for name, p in named if not ("pooler" in name or "classifier" in name)]
        groups = [{"params": body, "lr": RATE}, {"params": head, "lr": 10 * RATE}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.01, foreach=False)
        self._generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(
            setting.data.train,
            BATCH,
            shuffle=True,
            generator=self._generator,
            drop_last=True,
            collate_fn=lambda rows: padded(setting.collator(rows), length),
        )
        self._batches = endless(loader)

    def step(self) -> None:
        """Take one batch."""
        batch = next(self._batches)
        ids, mask, targets = batch["input_ids"], batch["attention_mask"], batch["labels"]
        mix = draw_mix(BATCH, Mixing(), generator=self._generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
            originals = self.student(input_ids=ids, attention_mask=mask).logits.float()
            mle = F.cross_entropy(originals, targets)
            logits = mixed(self.student, ids, mask, mix)
            first = F.cross_entropy(logits, targets[mix.first], reduction="none")
            second = F.cross_entropy(logits, targets[mix.second], reduction="none")
            sm = (mix.lam * first + (1 - mix.lam) * second).mean()
            with torch.no_grad():
                asked = mixed(self._teacher, ids, mask, mix)
            tmkd = F.mse_loss(mixed(self.student, ids, mask, mix), asked)
        (mle + sm + tmkd).backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def mixed(model: PreTrainedModel, ids: Tensor, mask: Tensor, mix: Mix) -> Tensor:
    """Return a model's logits, (B, C), on mixed examples."""
    words, lam = model.get_input_embeddings()(ids), mix.lam[:, None, None]
    embeddings = lam * words[mix.first] + (1 - lam) * words[mix.second]
    logits: Tensor = model(inputs_embeds=embeddings, attention_mask=mask[mix.first] | mask[mix.second]).logits
    return logits.float()


def padded(batch: Batch, length: int | None) -> Batch:
    """Pad a batch on the right to `length`; None leaves it as it is."""
    if length is None:
        return batch
    fill = length - batch["input_ids"].shape[1]
    return {name: F.pad(t, (0, fill)) if name != "labels" else t for name, t in batch.items()}


def endless(loader: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the loader's batches for ever."""
    while True:
        yield from loader


def accuracies(setting: Setting) -> list[dict[str, Any]]:
    """Return the test accuracies, as fractions of one, of ours and of usual-fp32 after some steps."""
    found = []
    for seed, (name, steps) in itertools.product(SEEDS, TRAININGS):
        with ExitStack() as stack:
            batches = -(-len(setting.data.train) // BATCH)
            # Half a step less than asked: the epochs are rounded up to whole steps.
            ours = our_trainer(setting, stack, epochs=(steps - 0.5) / batches, seed=seed)
            if name == "ours":
                ours.train()
            else:
                usual = Plain(setting, length=None, autocast=False, seed=seed)
                schedule = get_linear_schedule_with_warmup(usual.optimizer, steps // 10, steps)
                for _ in range(steps):
                    usual.step()
                    schedule.step()
                ours.objective.student.load_state_dict(usual.student.state_dict())
            metrics = ours.predict(setting.data.evaluated["test"]).metrics or {}
        found.append(
            {"name": name, "steps": steps, "seed": seed, "accuracy": round(metrics["test_accuracy"], 4)}
        )
        print(found[-1], flush=True)
    return found


def matrix_product_rate() -> float:
    """Return the machine's float32 rate, in operations a second, at the shape of a feed-forward layer."""
    rows, inner, outer = torch.randn(1024, 384), torch.randn(384, 1536), torch.empty(1024, 1536)
    best = float("inf")
    for _ in range(200):
        start = time.perf_counter()
        torch.mm(rows, inner, out=outer)
        best = min(best, time.perf_counter() - start)
    return 2 * 1024 * 384 * 1536 / best


def report(name: str, measured: dict[str, Any]) -> None:
    """Print what was measured on one data set."""
    print(f"{name}: {measured['examples_per_second']} examples/s; ours against {measured['ours_against']}")
    print(f"  ours at {measured['ours_share_of_matrix_product_rate']:.0%} of the matrix product rate")


if __name__ == "__main__":
    main()
