"""What a training does where its options leave it open."""

import pytest

from mixkd.compress.config import DistillConfig, FinetuneConfig, TrainingConfig
from mixkd.compress.recipe import Situation, settle
from mixkd.labels import LabelSpace
from mixkd.task import Task

BINARY = LabelSpace(Task.SINGLE_LABEL, ("no", "yes"))
INTENTS = LabelSpace(Task.SINGLE_LABEL, tuple(f"intent-{i}" for i in range(150)))
SCORE = LabelSpace(Task.REGRESSION, ("score",))


def chosen(
    rows: int, labels: LabelSpace = BINARY, *, width: int = 384, processes: int = 1, **options: float
) -> TrainingConfig:
    config = FinetuneConfig(**options)  # type: ignore[arg-type]
    return settle(config, Situation(rows, labels, width, processes=processes))


@pytest.mark.parametrize(
    ("rows", "batch", "least", "most"),
    [
        (2_490, 16, 1000, 1020),
        (15_000, 32, 1400, 1420),
        (67_349, 64, 1053, 1053),
        (30_000, 32, 1990, 2010),
        (1_000_000, 64, 15_625, 15_625),
    ],
)
def test_small_sets_get_enough_steps_and_large_ones_no_more_epochs_than_they_need(
    rows: int, batch: int, least: int, most: int
) -> None:
    config = chosen(rows)
    assert config.batch_size == batch
    assert config.epochs is not None
    assert least <= config.epochs * -(-rows // batch) <= most


def test_tiny_sets_are_not_repeated_without_end() -> None:
    assert chosen(20).epochs == 30


def test_processes_and_accumulated_batches_make_a_step_larger() -> None:
    assert chosen(4_000).epochs == 4
    assert chosen(4_000, processes=2).epochs == chosen(4_000, gradient_accumulation=2).epochs == 8


def test_narrow_models_and_large_batches_take_larger_steps() -> None:
    base, narrow = chosen(20_000, INTENTS, width=768), chosen(20_000, INTENTS, width=384)
    assert (base.learning_rate, narrow.learning_rate) == (5e-5, 2e-4)
    assert chosen(2_000, INTENTS, width=768).learning_rate == pytest.approx(5e-5 / 2**0.5)
    assert chosen(200_000, INTENTS, width=768).learning_rate == pytest.approx(5e-5 * 2**0.5)
    assert chosen(20_000, INTENTS, width=64).learning_rate == 1e-3


def test_few_classes_take_smaller_steps() -> None:
    assert chosen(20_000, BINARY).learning_rate == chosen(20_000, SCORE).learning_rate == 1e-4


def test_new_head_of_many_classes_learns_faster() -> None:
    for labels, factor in ((BINARY, 1), (SCORE, 1), (INTENTS, 10)):
        config = chosen(20_000, labels)
        assert config.head_learning_rate == pytest.approx(factor * (config.learning_rate or 0))
    student = settle(DistillConfig(), Situation(20_000, INTENTS, 384))
    assert student.head_learning_rate == student.learning_rate


def test_what_is_given_stays() -> None:
    given = FinetuneConfig(
        epochs=7,
        batch_size=5,
        learning_rate=1e-6,
        head_learning_rate=1e-7,
        retries=4,
        max_length=20,
        freeze_embeddings=True,
    )
    assert settle(given, Situation(2_000, BINARY, 384)) == given


def test_steps_take_the_place_of_epochs() -> None:
    config = chosen(2_000, steps=300)
    assert (config.steps, config.epochs, config.batch_size) == (300, None, 16)


def test_only_choices_of_its_own_are_tried_again_with_others() -> None:
    assert chosen(2_000).retries == chosen(2_000, batch_size=8).retries == 2
    for given in ({"epochs": 1}, {"steps": 9}, {"learning_rate": 1e-4}):
        assert chosen(2_000, **given).retries == 0
