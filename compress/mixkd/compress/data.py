"""A corpus to tokenised, memory-mapped datasets."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mixkd.compress.check import DataChecker
from mixkd.compress.inputs import Selection
from mixkd.compress.objective import TARGETS, TEACHER_LOGITS
from mixkd.compress.selection import choose_rows
from mixkd.corpus.corpus import Corpus, Example
from mixkd.labels import UNLABELLED, LabelSpace, stratum_of

_CHUNK = 1000
_ROW = "row"
_WARNINGS = "warnings.json"
_FEATURES = {
    "input_ids": datasets.Sequence(datasets.Value("int32")),
    "token_type_ids": datasets.Sequence(datasets.Value("int8")),
    # An encoded label: a few bytes, however many classes there are.
    "labels": datasets.Sequence(datasets.Value("int32")),
    "label_values": datasets.Sequence(datasets.Value("float32")),
    "stratum": datasets.Value("int32"),
}

Examples = Callable[[str], Iterator[Example]]
"""Reads the examples of a split, by its name."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The tokenised splits; rows hold `input_ids`, `token_type_ids` where the model has them, and a label.

    Attributes:
        train: Memory-mapped training rows.
        evaluated: The other splits by name, `validation` always among them.
        rows: Rows used of each split of the corpus.
        warnings: Problems of the data, as `check_data` reports them.
    """

    train: datasets.Dataset
    evaluated: dict[str, datasets.Dataset]
    rows: dict[str, int]
    warnings: tuple[str, ...]

    def numbered(self) -> "TrainingData":
        """Return the data with the number of each training row in a column, for `Collator.teacher_logits`."""
        return replace(self, train=self.train.add_column(_ROW, np.arange(len(self.train))))


def prepare(
    corpus: Corpus,
    labels: LabelSpace,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    selection: Selection,
    cache: Path,
) -> TrainingData:
    """Check and tokenise every split into Arrow files under `cache`, and choose the training texts.

    Each split is read once. Without a validation split a stratified tenth of the training texts is held out.

    Raises:
        DataError: If the data is malformed or holds labels outside the label space.
    """
    done = cache / _WARNINGS
    if not done.is_file():
        shutil.rmtree(cache, ignore_errors=True)  # of a run that was interrupted while it tokenised
    checker = DataChecker(corpus, labels=labels, tokenizer=tokenizer, max_length=max_length)
    splits = {
        name: _tokenise(corpus, name, checker.watch, labels, tokenizer, max_length, cache)
        for name in corpus.splits
    }
    if not done.is_file():
        done.write_text(json.dumps(checker.result().warnings), encoding="utf-8")
    train, held_out = _select(splits, corpus, selection)
    evaluated = {
        name: split
        for name, split in splits.items()
        if name != "train" and name not in corpus.augmented_splits()
    }
    rows = {name: len(split) for name, split in evaluated.items()}
    augmented = {name: len(splits[name]) for name in corpus.augmented_splits()}
    rows |= {"train": len(train) - sum(augmented.values()), **augmented}
    if held_out is not None:
        evaluated["validation"] = held_out
    return TrainingData(train, evaluated, rows, tuple(json.loads(done.read_text(encoding="utf-8"))))


def training_rows(
    corpus: Corpus,
    labels: LabelSpace,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    selection: Selection,
    cache: Path,
) -> datasets.Dataset:
    """Tokenise the training texts of `prepare` once more, in the same order, with another tokenizer."""
    splits = {
        name: _tokenise(corpus, name, corpus.read, labels, tokenizer, max_length, cache)
        for name in ("train", *corpus.augmented_splits())
    }
    return _select(splits, corpus, selection)[0]


def _select(
    splits: dict[str, datasets.Dataset], corpus: Corpus, selection: Selection
) -> tuple[datasets.Dataset, datasets.Dataset | None]:
    """Return the rows that train, the augmented ones after the others, and those held out to validate."""
    train = splits["train"]
    strata = train.with_format("numpy", columns=["stratum"])["stratum"][:]
    chosen, held_out = choose_rows(
        np.asarray(strata, np.int64), selection, hold_out="validation" not in corpus.splits
    )
    validation = train.select(held_out) if len(held_out) else None
    train = train.select(chosen) if len(chosen) < len(train) else train
    augmented = [splits[name] for name in corpus.augmented_splits()]
    return datasets.concatenate_datasets([train, *augmented]), validation


def _tokenise(
    corpus: Corpus,
    split: str,
    read: Examples,
    labels: LabelSpace,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    cache: Path,
) -> datasets.Dataset:
    names = [name for name in ("input_ids", "token_type_ids") if name in tokenizer.model_input_names]

    def rows() -> Iterator[dict[str, Any]]:
        strata: dict[str, int] = {}
        number = 0
        for chunk in _chunks(read(split)):
            encoded = tokenizer(
                [example.text for example in chunk],
                [example.text2 or "" for example in chunk] if chunk[0].text2 is not None else None,
                truncation=True,
                max_length=max_length,
                return_attention_mask=False,
            )
            for i, example in enumerate(chunk):
                number += 1
                label = labels.encode(example.label, where=corpus.where(split, number))
                yield {
                    **{name: encoded[name][i] for name in names},
                    "labels": label.outputs,
                    "label_values": label.values,
                    "stratum": strata.setdefault(stratum_of(example.label), len(strata)),
                }

    return _from_rows(rows, cache / split, [*names, "labels", "label_values", "stratum"])


def _from_rows(rows: Callable[[], Iterator[Any]], cache: Path, columns: list[str]) -> datasets.Dataset:
    """Write what the generator function yields to an Arrow file and map it; errors of ours pass through."""
    features = datasets.Features({name: _FEATURES[name] for name in columns})
    try:
        # The cache folder is this run's own, so nothing stale can be found in it.
        with quiet_datasets():
            return datasets.Dataset.from_generator(
                rows, features=features, cache_dir=str(cache), fingerprint=cache.name
            )
    except datasets.exceptions.DatasetGenerationError as error:
        raise error.__cause__ or error from None


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Keep the datasets package's progress bars off the screen."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def token_counts(rows: datasets.Dataset) -> NDArray[np.int32]:
    """Return the number of tokens of every row, (N,), without loading the rows."""
    columns = rows.with_format("arrow").iter(100_000)
    return np.concatenate([pc.list_value_length(batch["input_ids"]).to_numpy() for batch in columns])


def has_labels(rows: datasets.Dataset) -> bool:
    """Return whether any row has a label, without loading the rows."""
    columns = rows.with_format("arrow").iter(100_000)
    numbers = (pc.list_flatten(batch["labels"]) for batch in columns)
    return any(pc.any(pc.not_equal(each, UNLABELLED)).as_py() for each in numbers)


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, _CHUNK)):
        yield chunk


@dataclass(frozen=True, slots=True)
class Collator:
    """Rows to one padded batch for the objective: (B, T) ids, mask and segments, and (B, C) target rows.

    Args:
        tokenizer: Its padding token fills up.
        labels: Turns stored labels into target rows.
        teacher_logits: (N, C) on all N training rows; a batch of numbered rows gets theirs.
    """

    tokenizer: PreTrainedTokenizerBase
    labels: LabelSpace
    teacher_logits: NDArray[np.float32] | None = None

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Pad on the right to the longest row."""
        length = max(len(row["input_ids"]) for row in rows)
        batch = {"attention_mask": torch.zeros(len(rows), length, dtype=torch.long)}
        fill = {"input_ids": self.tokenizer.pad_token_id or 0, "token_type_ids": 0}
        for name in fill.keys() & rows[0].keys():
            batch[name] = torch.full((len(rows), length), fill[name])
        for i, row in enumerate(rows):
            size = len(row["input_ids"])
            batch["attention_mask"][i, :size] = 1
            for name in fill.keys() & batch.keys():
                batch[name][i, :size] = torch.as_tensor(row[name])
        targets = [self.labels.target(row["labels"], row["label_values"]) for row in rows]
        batch[TARGETS] = torch.from_numpy(np.stack(targets))
        if self.teacher_logits is not None and _ROW in rows[0]:
            batch[TEACHER_LOGITS] = torch.from_numpy(self.teacher_logits[[row[_ROW] for row in rows]])
        return batch
