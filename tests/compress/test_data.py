"""Corpora to tokenised rows: formats, selections, the held-out share, batches."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mixkd.compress.data import Collator, TrainingData, prepare
from mixkd.compress.inputs import Selection
from mixkd.corpus.corpus import Label, open_corpus
from mixkd.errors import ConfigError, DataError
from mixkd.labels import LabelSpace, read_label_space
from mixkd.task import Task
from tests.tiny import WORDS, tiny_tokenizer

ROWS = [(f"{WORDS[i % 7]} {WORDS[i % 3]}", f"class-{i % 4}") for i in range(40)]


def write(folder: Path, kind: str, rows: list[tuple[str, str]]) -> Path:
    path = folder / f"train.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"text": [t for t, _ in rows], "label": [y for _, y in rows]}), path)
    elif kind == "jsonl":
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        separator = {"tsv": "\t", "csv": ","}[kind]
        lines = [f"text{separator}label", *(separator.join(row) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def prepared(data: Path, tmp_path: Path, seed: int = 0, **selection: Any) -> TrainingData:
    corpus = open_corpus(data)
    return prepare(
        corpus,
        read_label_space(corpus, task=None),
        tiny_tokenizer(),
        max_length=16,
        selection=Selection(seed=seed, **selection),
        cache=tmp_path / f"cache-{seed}-{len(selection)}",
    )


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "parquet"])
def test_formats_give_the_same_rows(kind: str, tmp_path: Path) -> None:
    data = prepared(write(tmp_path, kind, ROWS), tmp_path)
    rows = [*data.train, *data.evaluated["validation"]]
    tokenizer = tiny_tokenizer()
    expected = Counter((tuple(tokenizer(text)["input_ids"]), int(label[-1])) for text, label in ROWS)
    assert Counter((tuple(row["input_ids"]), *row["labels"]) for row in rows) == expected


def test_tenth_is_held_out_by_class_when_there_is_no_validation(tmp_path: Path) -> None:
    data = prepared(write(tmp_path, "tsv", ROWS), tmp_path)
    assert len(data.train) == 36
    assert sorted(data.evaluated["validation"]["labels"]) == [[0], [1], [2], [3]]
    assert data.rows == {"train": 36}


@pytest.mark.parametrize(
    ("selection", "per_class"),
    [
        ({"train_limit": 12}, 3),
        ({"train_per_class": 2}, 2),
        ({"train_fraction": 0.5}, 4),
        ({"train_per_class": 4, "train_limit": 4}, 1),
    ],
)
def test_selection_keeps_the_classes_shares(
    selection: dict[str, Any], per_class: int, tmp_path: Path
) -> None:
    data = prepared(write(tmp_path, "tsv", ROWS), tmp_path, **selection)
    counts = Counter(number for (number,) in data.train["labels"])
    if selection == {"train_fraction": 0.5}:  # 36 rows are left of 40
        assert sorted(counts.values()) == [4, 4, 5, 5]
    else:
        assert counts == dict.fromkeys(range(4), per_class)


def test_selection_is_fixed_by_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path, "tsv", [(f"{WORDS[i % 29]} {WORDS[i % 13]}", f"c{i % 2}") for i in range(200)])
    one = prepared(path, tmp_path / "a", train_limit=20).train["input_ids"]
    assert list(one) == list(prepared(path, tmp_path / "b", train_limit=20).train["input_ids"])
    assert list(one) != list(prepared(path, tmp_path / "c", seed=1, train_limit=20).train["input_ids"])


def test_selection_refuses_nothing_at_all() -> None:
    with pytest.raises(ConfigError, match="--train-fraction"):
        Selection(train_fraction=0.0)
    with pytest.raises(ConfigError, match="--train-limit"):
        Selection(train_limit=0)


def test_changed_file_is_read_anew(tmp_path: Path) -> None:
    first = prepared(write(tmp_path, "tsv", ROWS), tmp_path / "one")
    second = prepared(write(tmp_path, "tsv", ROWS[:20]), tmp_path / "two")
    assert len(first.train) == 36
    assert len(second.train) == 18


def test_unknown_label_is_refused_by_name(tmp_path: Path) -> None:
    corpus = open_corpus(write(tmp_path, "tsv", ROWS))
    labels = LabelSpace(Task.SINGLE_LABEL, ("class-0", "class-1"))
    with pytest.raises(DataError, match="'class-2' is not one of the model's"):
        prepare(
            corpus,
            labels,
            tiny_tokenizer(),
            max_length=16,
            selection=Selection(),
            cache=tmp_path / "c",
        )


def stored(labels: LabelSpace, label: Label) -> dict[str, Any]:
    encoded = labels.encode(label, where="")
    return {"labels": encoded.outputs, "label_values": encoded.values}


def test_collator_pads_to_the_longest_and_makes_target_rows() -> None:
    labels = LabelSpace(Task.SINGLE_LABEL, ("a", "b", "c"))
    rows: list[dict[str, Any]] = [
        {"input_ids": [2, 9, 3], "token_type_ids": [0, 0, 1], **stored(labels, "b")},
        {"input_ids": [2, 9, 9, 9, 3], "token_type_ids": [0] * 5, **stored(labels, None)},
    ]
    batch = Collator(tiny_tokenizer(), labels)(rows)
    assert batch["input_ids"].tolist() == [[2, 9, 3, 0, 0], [2, 9, 9, 9, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1, 0, 0], [0] * 5]
    assert batch["labels"][0].tolist() == [0, 1, 0]
    assert torch.isnan(batch["labels"][1]).all()


def test_collator_hands_on_the_teachers_answers_of_its_rows() -> None:
    known = np.arange(12, dtype=np.float32).reshape(4, 3)
    labels = LabelSpace(Task.SINGLE_LABEL, ("a", "b", "c"))
    rows = [{"input_ids": [2, 3], **stored(labels, "a"), "row": row} for row in (3, 1)]
    batch = Collator(tiny_tokenizer(), labels, teacher_logits=known)(rows)
    assert batch["teacher_logits"].tolist() == [[9, 10, 11], [3, 4, 5]]


def test_augmented_texts_are_trained_on_whole_labelled_or_not(tmp_path: Path) -> None:
    train = write(tmp_path, "tsv", ROWS)
    (tmp_path / "unlabelled.tsv").write_text("text\n" + f"{WORDS[0]}\n" * 7, encoding="utf-8")
    (tmp_path / "labelled.jsonl").write_text('{"text": "ba", "label": "class-2"}\n' * 5, encoding="utf-8")
    corpus = open_corpus(train, augmented=[tmp_path / "unlabelled.tsv", tmp_path / "labelled.jsonl"])
    labels = read_label_space(corpus, task=None)
    selection = Selection(train_per_class=2)
    found = prepare(
        corpus, labels, tiny_tokenizer(), max_length=16, selection=selection, cache=tmp_path / "cache"
    )
    assert found.rows == {"train": 8, "augmented-1": 7, "augmented-2": 5}
    assert Counter(number for (number,) in found.train["labels"]) == {-1: 7, 0: 2, 1: 2, 2: 7, 3: 2}
    assert len(found.evaluated["validation"]) == 4  # of the labelled texts alone


def test_a_label_takes_a_few_bytes_on_disk_however_many_classes_there_are(tmp_path: Path) -> None:
    texts = 5000
    rows = [(WORDS[0], f"class-{i % 1000}") for i in range(texts)]
    data = prepared(write(tmp_path, "tsv", rows), tmp_path)
    files = [Path(file["filename"]) for file in data.train.cache_files]
    # Three tokens and their segments take 23 bytes a text, with where the two lists begin.
    assert sum(file.stat().st_size for file in set(files)) / texts < 23 + 20


def test_changed_data_of_an_unfinished_cache_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path, "tsv", ROWS)
    first = prepared(path, tmp_path)
    write(tmp_path, "tsv", ROWS[:20])
    assert len(prepared(path, tmp_path).train) == len(first.train)  # the cache is whole
    (tmp_path / "cache-0-0" / "warnings.json").unlink()
    assert len(prepared(path, tmp_path).train) == 18


def test_missing_augmented_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file of more training texts at .*gone\.tsv"):
        open_corpus(write(tmp_path, "tsv", ROWS), augmented=[tmp_path / "gone.tsv"])
