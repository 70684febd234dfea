"""What is counted before a training."""

from pathlib import Path

import pytest

from mixkd.compress.check import check_data
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import DataError
from mixkd.labels import LabelSpace
from mixkd.task import Task
from tests.tiny import WORDS, tiny_tokenizer


def write(folder: Path, **splits: list[tuple[str, str]]) -> Path:
    for name, rows in splits.items():
        lines = ["text\tlabel", *("\t".join(row) for row in rows)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def warnings(folder: Path) -> list[str]:
    return list(check_data(open_corpus(folder)).warnings)


def test_clean_data_raises_no_warning(tmp_path: Path) -> None:
    write(tmp_path, train=[("one", "a"), ("two", "b")], test=[("three", "a"), ("four", "b")])
    found = check_data(open_corpus(tmp_path))
    assert found.warnings == ()
    assert found.splits["train"].classes == {"a": 1, "b": 1}


def test_duplicates_and_leaks_are_counted_whatever_their_spaces_and_capitals(tmp_path: Path) -> None:
    write(
        tmp_path,
        train=[("one", "a"), ("One ", "a"), ("two", "b")],
        validation=[("ONE", "a"), ("five", "b")],
        test=[("two", "b"), ("five", "a"), ("six", "a")],
    )
    assert warnings(tmp_path) == [
        "train: 1 of 3 texts are duplicates",
        "validation: 1 of 2 texts are also in train",
        "test: 1 of 3 texts are also in train",
        "test: 1 of 3 texts are also in validation",
    ]


def test_known_leaks_of_clinc150_are_found() -> None:
    assert "test: 2 of 4500 texts are also in train" in check_data(open_corpus("clinc150")).warnings


def test_empty_and_unlabelled_texts_and_missing_classes_are_counted(tmp_path: Path) -> None:
    write(tmp_path, train=[("  ", "a"), ("two", "b"), ("three", "")], test=[("four", "a")])
    assert warnings(tmp_path) == [
        "train: 1 of 3 texts are empty",
        "train: 1 of 3 texts have no label",
        "test: 1 of 2 classes have no text: b",
    ]


def test_labels_outside_the_teachers_are_refused_with_their_row(tmp_path: Path) -> None:
    write(tmp_path, train=[("one", "a"), ("two", "c")])
    with pytest.raises(DataError, match=r"train.tsv, row 2: the label 'c'"):
        check_data(open_corpus(tmp_path), labels=LabelSpace(Task.SINGLE_LABEL, ("a", "b")))


def test_teachers_classes_without_texts_are_named(tmp_path: Path) -> None:
    write(tmp_path, train=[("one", "a")])
    found = check_data(open_corpus(tmp_path), labels=LabelSpace(Task.SINGLE_LABEL, ("a", "b")))
    assert found.warnings == ("train: 1 of 2 classes have no text: b",)


def test_share_of_truncated_texts_is_told(tmp_path: Path) -> None:
    write(tmp_path, train=[(" ".join(WORDS[:10]), "a"), *((WORDS[i], "b") for i in range(9))])
    found = check_data(open_corpus(tmp_path), tokenizer=tiny_tokenizer(), max_length=8)
    assert found.warnings == ("train: 10.0 % of the texts are longer than 8 tokens",)


def test_values_of_a_regression_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, train=[("one", "0.5"), ("two", "3")], validation=[("three", "4.25")])
    assert warnings(tmp_path) == []
    write(tmp_path, train=[("one", "1"), ("two", "3")], validation=[("three", "3")])
    assert warnings(tmp_path) == ["validation: 1 of 2 classes have no text: 1"]


def test_a_number_that_is_not_finite_is_refused_with_file_and_row(tmp_path: Path) -> None:
    write(tmp_path, train=[("one", "0.5"), ("two", "inf"), ("three", "nan")])
    with pytest.raises(DataError, match=r"train.tsv, row 2: the label inf is not a finite number"):
        check_data(open_corpus(tmp_path))
    with pytest.raises(DataError, match=r"train.tsv, row 2: the label inf is not a finite number"):
        check_data(open_corpus(tmp_path), labels=LabelSpace(Task.REGRESSION, ("score",)))
    write(tmp_path, train=[("one", "naan"), ("two", "nan"), ("three", "inf")])  # names, among names
    assert check_data(open_corpus(tmp_path)).warnings == ()
