"""What the commands of this stage read and write, and which of the texts they use.

Nothing heavy is imported here.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.options import DataInputs, Group, check_limits, option, required
from mixkd.task import DEFAULT_LENGTH, LEAST_LENGTH


@dataclass(frozen=True, kw_only=True)
class TrainingInputs(DataInputs):
    """What a training reads and writes."""

    augmented: tuple[str, ...] = option(
        (),
        "A file of additional training texts: from mkd augment, or your own, with or without labels; may be "
        "repeated.",
        group=Group.DATA,
    )
    output: Path = required("The folder to write; it appears when it is complete.", files=(".toml",))
    overwrite: bool = option(
        False,
        "Replace the output folder, if mkd wrote it and it holds nothing else.",
        group=Group.OUTPUT,
        files=(),
    )
    resume: bool = option(False, "Continue an interrupted run.", group=Group.OUTPUT, files=(".toml",))

    def open(self) -> Corpus:
        """Find the splits, without reading them; errors as in `open_corpus`."""
        return open_corpus(self.data, self.columns(), augmented=self.augmented)


@dataclass(frozen=True, kw_only=True)
class FinetuneInputs(TrainingInputs):
    """What `mkd finetune` starts from."""

    model: str = required("The pretrained encoder: a folder or a hub name.")


@dataclass(frozen=True, kw_only=True)
class DistillInputs(TrainingInputs):
    """What `mkd distill` starts from."""

    teacher: str = required("The teacher, a fine-tuned classifier: a folder or a hub name.")


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """The options of `mkd check`."""

    teacher: str | None = option(
        None,
        "Also check the labels and the tokenizer of this teacher: a folder or a hub name.",
        group=Group.DATA,
    )
    max_length: int = option(
        DEFAULT_LENGTH,
        "Count texts of more tokens than this as truncated.",
        group=Group.DATA,
        least=LEAST_LENGTH,
    )

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the training texts are used; the seed determines which, and classes keep their shares.

    Augmented texts are always used whole.
    """

    train_limit: int | None = option(
        None, "Use at most this many training texts, classes in proportion.", group=Group.DATA, least=1
    )
    train_per_class: int | None = option(
        None, "Use at most this many training texts of each class.", group=Group.DATA, least=1
    )
    train_fraction: float = option(
        1.0, "Use this share of the training texts, classes in proportion.", group=Group.DATA, above=0, most=1
    )
    seed: int = option(0, "Seed of everything random.", group=Group.TRAINING)

    def __post_init__(self) -> None:
        check_limits(self, self._problems())

    def _problems(self) -> list[str]:
        """Return what is wrong beside the limits of the options, a clause each."""
        return []

    def as_dict(self) -> dict[str, Any]:
        """Return every option by name, as `run.json` keeps them."""
        return {name: value for name, value in asdict(self).items() if value is not None}
