"""A corpus to tokenised, memory-mapped datasets."""

from collections.abc import Iterator
from dataclasses import dataclass
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

from mixkd.compress.config import Selection
from mixkd.corpus.corpus import Corpus, Example
from mixkd.labels import LabelSpace

HELD_OUT_SHARE = 0.1
"""The share of the training texts that validates where the data has no validation split."""

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The tokenised splits; rows hold `input_ids`, `token_type_ids` where the model has them, and `labels`.

    Attributes:
        train: Memory-mapped training rows.
        evaluated: The other splits by name, `validation` always among them.
        rows: Rows used of each split of the corpus.
    """

    train: datasets.Dataset
    evaluated: dict[str, datasets.Dataset]
    rows: dict[str, int]


def prepare(
    corpus: Corpus,
    labels: LabelSpace,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    selection: Selection,
    cache: Path,
) -> TrainingData:
    """Tokenise every split into Arrow files under `cache`, and choose the training texts.

    Without a validation split a stratified tenth of the training texts is held out.

    Raises:
        DataError: If the data is malformed or holds labels outside the label space.
    """
    splits = {
        name: _tokenise(corpus, name, labels, tokenizer, max_length, cache / name) for name in corpus.splits
    }
    train = splits.pop("train")
    augmented = [splits.pop(name) for name in corpus.augmented_splits()]
    chosen, held_out = choose_rows(
        _class_numbers(train), selection, hold_out="validation" not in corpus.splits
    )
    if len(held_out):
        splits["validation"] = train.select(held_out)
    train = train.select(chosen) if len(chosen) < len(train) else train
    rows = {name: len(split) for name, split in splits.items() if name in corpus.splits}
    rows |= {"train": len(train), **dict(zip(corpus.augmented_splits(), map(len, augmented), strict=True))}
    return TrainingData(datasets.concatenate_datasets([train, *augmented]), splits, rows)


def choose_rows(
    classes: NDArray[np.int64], selection: Selection, *, hold_out: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the rows that train, and of those held out to validate, ascending.

    Args:
        classes: (N,) a class per row; which number a class has makes no difference.
        selection: Chooses among the rows that aren't held out.
        hold_out: Whether to hold out `HELD_OUT_SHARE`.
    """
    rows = np.arange(len(classes))
    held_out = rows[:0]
    if hold_out:
        held_out = _stratified(classes, HELD_OUT_SHARE, np.random.default_rng(selection.seed))
        rows = np.setdiff1d(rows, held_out)
    return rows[_choose(classes[rows], selection, np.random.default_rng(selection.seed))], held_out


def _tokenise(
    corpus: Corpus,
    split: str,
    labels: LabelSpace,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    cache: Path,
) -> datasets.Dataset:
    def rows() -> Iterator[dict[str, Any]]:
        for chunk in _chunks(corpus.read(split)):
            encoded = tokenizer(
                [example.text for example in chunk],
                [example.text2 or "" for example in chunk] if chunk[0].text2 is not None else None,
                truncation=True,
                max_length=max_length,
                return_attention_mask=False,
            )
            for i, example in enumerate(chunk):
                row = {name: values[i] for name, values in encoded.items()}
                yield {**row, "labels": labels.encode(example.label, where=str(corpus.split(split)))}

    return from_rows(rows, cache)


def from_rows(rows: Any, cache: Path) -> datasets.Dataset:
    """Write what the generator function yields to an Arrow file and map it; errors of ours pass through."""
    datasets.disable_progress_bars()
    try:
        # The cache folder is this run's own, so nothing stale can be found in it.
        return datasets.Dataset.from_generator(rows, cache_dir=str(cache), fingerprint=cache.name)
    except datasets.exceptions.DatasetGenerationError as error:
        raise error.__cause__ or error from None
    finally:
        datasets.enable_progress_bars()


def token_counts(rows: datasets.Dataset) -> NDArray[np.int32]:
    """Return the number of tokens of every row, (N,), without loading the rows."""
    columns = rows.with_format("arrow").iter(100_000)
    return np.concatenate([pc.list_value_length(batch["input_ids"]).to_numpy() for batch in columns])


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, _CHUNK)):
        yield chunk


def _class_numbers(train: datasets.Dataset) -> NDArray[np.int64]:
    """Return a class per row for stratification, (N,); unlabelled rows are one, each label set is one."""
    labels = train.with_format("numpy", columns=["labels"])["labels"]
    return np.unique(np.asarray(labels[:]), axis=0, return_inverse=True)[1].reshape(-1)


def _choose(classes: NDArray[np.int64], selection: Selection, rng: np.random.Generator) -> NDArray[np.int64]:
    order = rng.permutation(len(classes))
    if selection.train_per_class is not None:
        ranks = _rank_in_class(classes[order])
        order = order[ranks < selection.train_per_class]
    share = selection.train_fraction
    if selection.train_limit is not None:
        share = min(share, selection.train_limit / len(order))
    if share < 1:
        order = order[_stratified(classes[order], share, rng)]
    return np.sort(order)


def _stratified(classes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return round(share · N) row numbers, each class at its share to within one row."""
    order = rng.permutation(len(classes))
    sizes = np.bincount(classes)[classes[order]]
    # Rows sorted by their relative rank in their class: any prefix holds the same share of every class.
    position = (_rank_in_class(classes[order]) + 0.5) / sizes
    wanted = max(1, round(share * len(classes)))
    return np.sort(order[np.argsort(position, kind="stable")[:wanted]])


def _rank_in_class(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row how many rows of its class stand before it; (N,)."""
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], classes[order])
    ranks = np.empty(len(classes), np.int64)
    ranks[order] = np.arange(len(classes)) - starts
    return ranks


@dataclass(frozen=True, slots=True)
class Collator:
    """Rows to one padded batch: (B, T) ids, mask and segments, and (B, C) target rows (see `losses`).

    Where the teacher's (N, C) answers to all N training rows are given, the batch carries its rows' too.
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
        batch["labels"] = torch.from_numpy(np.stack([self.labels.target(row["labels"]) for row in rows]))
        if self.teacher_logits is not None and "row" in rows[0]:
            batch["teacher_logits"] = torch.from_numpy(self.teacher_logits[[row["row"] for row in rows]])
        return batch
