"""The objective in transformers.Trainer and in a plain loop, against the paper's equations written out."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor
from transformers import PreTrainedModel

from mixkd.compress.batches import LengthGroupedSampler
from mixkd.compress.checkpoints import load_classifier, load_tokenizer
from mixkd.compress.config import DistillConfig
from mixkd.compress.data import Collator, TrainingData, prepare, token_counts
from mixkd.compress.inputs import Selection
from mixkd.compress.mixup import draw_mix
from mixkd.compress.objective import Objective, step_generator
from mixkd.compress.student import cut_layers
from mixkd.compress.trainer import ObjectiveTrainer, set_dropout
from mixkd.compress.weights import Method, Term
from mixkd.corpus.corpus import open_corpus
from mixkd.labels import label_space_of
from mixkd.task import Task

STEPS, BATCH, RATE = 6, 8, 1e-3


@pytest.fixture
def models(teacher: Path) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Teacher and two-layer student in float64, without dropout."""
    loaded = load_classifier(teacher).double().eval()
    student = cut_layers(loaded, 2).double()
    set_dropout(student, 0.0)
    student.get_input_embeddings().requires_grad_(False)
    return loaded, student


@pytest.fixture
def rows(teacher: Path, data: Path, tmp_path: Path) -> tuple[TrainingData, Collator]:
    tokenizer = load_tokenizer(teacher)
    labels = label_space_of(load_classifier(teacher).config.to_dict(), model="teacher")
    prepared = prepare(
        open_corpus(data),
        labels,
        tokenizer,
        max_length=32,
        selection=Selection(),
        cache=tmp_path / "data",
    )
    return prepared, Collator(tokenizer, labels)


def by_trainer(
    config: DistillConfig,
    models: tuple[PreTrainedModel, PreTrainedModel],
    rows: tuple[TrainingData, Collator],
    folder: Path,
) -> tuple[list[float], dict[str, Tensor]]:
    """Return the loss of every step and the trained weights."""
    losses: list[float] = []

    class Recording(ObjectiveTrainer):
        def compute_loss(self, *args: Any, **kwargs: Any) -> Tensor:
            loss = super().compute_loss(*args, **kwargs)
            losses.append(loss.item())
            return loss

    student = copy.deepcopy(models[1])
    trainer = Recording(
        objective_of(config, models[0], student),
        config=config,
        train=rows[0].train,
        validation=rows[0].evaluated["validation"],
        collator=rows[1],
        checkpoints=folder,
    )
    trainer.args.max_steps = STEPS
    trainer.args.max_grad_norm = 0.0
    trainer.args.lr_scheduler_type = "constant"
    trainer.train()
    return losses[:STEPS], dict(student.state_dict())


def objective_of(config: DistillConfig, teacher: PreTrainedModel, student: PreTrainedModel) -> Objective:
    return Objective(
        student, teacher, task=Task.SINGLE_LABEL, weights=config.weights(), mixing=config.mixing()
    )


def by_plain_loop(
    config: DistillConfig,
    models: tuple[PreTrainedModel, PreTrainedModel],
    rows: tuple[TrainingData, Collator],
) -> tuple[list[float], dict[str, Tensor]]:
    """The objective in a loop without a trainer."""
    student = copy.deepcopy(models[1]).train()
    objective = objective_of(config, models[0], student)
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    losses = []
    for step, batch in enumerate(batches(config, rows)):
        terms = objective(batch, generator=step_generator(config.seed, step=step))
        assert terms.values.keys() == {term for term in Term if config.weights()[term]}
        terms.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(terms.loss.item())
    return losses, dict(student.state_dict())


def batches(config: DistillConfig, rows: tuple[TrainingData, Collator]) -> Iterator[dict[str, Tensor]]:
    """Yield the batches of the trainer's steps."""
    order = list(LengthGroupedSampler(token_counts(rows[0].train), batch_size=BATCH, seed=config.seed))
    for step in range(STEPS):
        yield rows[1]([rows[0].train[i] for i in order[step * BATCH : (step + 1) * BATCH]])


def by_hand(
    config: DistillConfig,
    models: tuple[PreTrainedModel, PreTrainedModel],
    rows: tuple[TrainingData, Collator],
) -> tuple[list[float], dict[str, Tensor]]:
    """The paper's loop: one forward per term, every sum written out; the pairs and shares of the trainer."""
    teacher, student = models[0], copy.deepcopy(models[1])
    alphas = config.weights()
    student.train()
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    losses = []
    for step, batch in enumerate(batches(config, rows)):
        y = batch["labels"].argmax(dim=1)
        loss = F.cross_entropy(student(**_inputs(batch)).logits, y)
        mix = draw_mix(len(y), config.mixing(), generator=step_generator(config.seed, step=step))
        i, j, lam = mix.first, mix.second, mix.lam.double()
        mixed: dict[str, Tensor] = {
            "attention_mask": torch.maximum(batch["attention_mask"][i], batch["attention_mask"][j])
        }
        logits = student(inputs_embeds=_mixed(student, batch, i, j, lam), **mixed).logits
        log_p = logits.log_softmax(dim=1)
        pairs = range(len(i))
        loss = loss - alphas[Term.SM] * (lam * log_p[pairs, y[i]] + (1 - lam) * log_p[pairs, y[j]]).mean()
        with torch.no_grad():
            answers = teacher(inputs_embeds=_mixed(teacher, batch, i, j, lam), **mixed).logits
        loss = loss + alphas[Term.TMKD] * (logits - answers).square().mean()
        if alphas[Term.KD]:
            with torch.no_grad():
                answers = teacher(**_inputs(batch)).logits
            loss = loss + alphas[Term.KD] * (student(**_inputs(batch)).logits - answers).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, dict(student.state_dict())


def _inputs(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in batch.items() if name != "labels"}


def _mixed(model: PreTrainedModel, batch: dict[str, Tensor], i: Tensor, j: Tensor, lam: Tensor) -> Tensor:
    table = model.get_input_embeddings().weight
    ids = batch["input_ids"]
    return torch.stack(
        [lam[k] * table[ids[i[k]]] + (1 - lam[k]) * table[ids[j[k]]] for k in range(len(i))]  # type: ignore[index]
    )


@pytest.mark.parametrize(
    "options",
    [
        {"method": Method.MIXKD},
        {"method": Method.TMKD, "mixup_ratio": 0.5},
        {"method": Method.MIXKD, "alpha_kd": 0.7, "alpha_sm": 0.3, "lambda_per_batch": True},
    ],
    ids=["mixkd", "tmkd", "mixkd-with-kd"],
)
def test_trainer_and_plain_loop_equal_the_paper_written_by_hand(
    options: dict[str, Any],
    models: tuple[PreTrainedModel, PreTrainedModel],
    rows: tuple[TrainingData, Collator],
    tmp_path: Path,
) -> None:
    config = DistillConfig(
        **options,
        epochs=1,
        batch_size=BATCH,
        learning_rate=RATE,
        head_learning_rate=RATE,
        weight_decay=0.0,
        keep_best=False,
        max_length=32,
    )
    losses, weights = by_trainer(config, models, rows, tmp_path)
    plain, plain_weights = by_plain_loop(config, models, rows)
    assert plain == pytest.approx(losses, rel=1e-12)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, plain_weights[name], rtol=0, atol=1e-6 * RATE)
    expected, expected_weights = by_hand(config, models, rows)
    assert losses == pytest.approx(expected, rel=1e-6)
    moved = max((weights[name] - models[1].state_dict()[name]).abs().max().item() for name in weights)
    assert moved > 1e-3  # it did train
    for name, tensor in weights.items():
        # Adam divides by near-zero roots: a thousandth of one step is what float64 rounding grows to.
        torch.testing.assert_close(tensor, expected_weights[name], rtol=0, atol=1e-3 * RATE)
