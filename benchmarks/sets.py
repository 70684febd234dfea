"""The data sets of the studies: where they are, how much of each counts as little, on what they are judged.

Seven public sets, read from one folder that holds a folder for each: `train.tsv`, `validation.tsv` and, where
there are labels for it, `test.tsv`, with the columns `text`, `text2` for pairs, and `label`. GLUE's own are
under licences that don't allow a copy here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.metrics import HEADLINE
from mixkd.task import Task


@dataclass(frozen=True, slots=True)
class DataSet:
    """One set.

    Attributes:
        name: Its folder.
        little: The options that choose a small part of its training texts.
        about: That part in words.
        judged: The split whose score is reported: test where it has labels, else validation.
        batch: Texts per step with that part.
        task: What its labels are.
    """

    name: str
    little: dict[str, Any]
    about: str
    judged: str = "test"
    batch: int = 16
    task: Task = Task.SINGLE_LABEL

    @property
    def metric(self) -> str:
        """The metric that is reported."""
        return HEADLINE[self.task]

    def open(self, folder: Path) -> Corpus:
        """Find its splits."""
        return open_corpus(str(folder / self.name))


SETS = {
    each.name: each
    for each in (
        DataSet("cola", {"train_fraction": 0.1}, "10 %"),
        DataSet("banking77", {"train_per_class": 10}, "10 texts a class", batch=32),
        DataSet("clinc150", {"train_per_class": 10}, "10 texts a class", batch=32),
        DataSet("mrpc", {"train_fraction": 0.2}, "20 %"),
        DataSet("stsb", {"train_fraction": 0.1}, "10 %", judged="validation", task=Task.REGRESSION),
        DataSet("sst2", {"train_fraction": 0.01}, "1 %"),
        DataSet("rte", {"train_fraction": 0.2}, "20 %", judged="validation"),
    )
}
"""By name; those whose teachers are trained sooner come first."""
