"""Label spaces: read from data, encoded for storage, and back to target rows."""

from pathlib import Path

import numpy as np
import pytest

from mixkd.corpus.corpus import Label, open_corpus
from mixkd.errors import DataError
from mixkd.labels import LabelSpace, are_scores, read_label_space, stratum_of
from mixkd.task import Task

SINGLE = LabelSpace(Task.SINGLE_LABEL, ("a", "b", "c"))
MULTI = LabelSpace(Task.MULTI_LABEL, ("a", "b", "c"))
ONE = LabelSpace(Task.MULTI_LABEL, ("a",))
SCORE = LabelSpace(Task.REGRESSION, ("score",))


@pytest.mark.parametrize(
    ("space", "label", "row"),
    [
        (SINGLE, "b", [0, 1, 0]),
        (SINGLE, ("b",), [0, 1, 0]),
        (SINGLE, {"a": 0.75, "c": 0.25}, [0.75, 0, 0.25]),
        (SINGLE, {"a": 0.333, "b": 0.333, "c": 0.333}, [0.333, 0.333, 0.333]),
        (SINGLE, None, [np.nan] * 3),
        (MULTI, "b", [0, 1, 0]),
        (MULTI, (), [0, 0, 0]),
        (MULTI, ("c", "a"), [1, 0, 1]),
        (MULTI, {"a": 0.75, "b": 1.0}, [0.75, 1, 0]),
        (MULTI, None, [np.nan] * 3),
        (ONE, ("a",), [1]),
        (ONE, (), [0]),
        (ONE, None, [np.nan]),
        (SCORE, "-2.5", [-2.5]),
        (SCORE, "0", [0]),
        (SCORE, None, [np.nan]),
    ],
)
def test_target_of_an_encoded_label_is_its_row(space: LabelSpace, label: Label, row: list[float]) -> None:
    np.testing.assert_array_equal(
        space.target(*space.encode(label, where="")), np.array(row, np.float32), strict=True
    )


@pytest.mark.parametrize(
    ("space", "label", "message"),
    [
        (SINGLE, "d", r"f, row 3: the label 'd' is not one of the model's \(a, b, c\)"),
        (SINGLE, ("a", "b"), "f, row 3: 2 labels for one text, but the task is single-label"),
        (SINGLE, {"a": 0.7}, "f, row 3: the probabilities of a label must add up to 1, not 0.7"),
        (SINGLE, {"a": 0.5, "d": 0.5}, "the label 'd'"),
        (MULTI, {"d": 0.5}, "the label 'd'"),
        (SCORE, "much", "f, row 3: the label 'much' is not a number"),
        (SCORE, ("1",), r"the label \('1',\) is not a number"),
        (SCORE, {"a": 1.0}, "the label {'a': 1.0} is not a number"),
        (SCORE, "nan", "f, row 3: the label nan is not a finite number"),
        (SCORE, "-Infinity", "the label -Infinity is not a finite number"),
    ],
)
def test_label_of_another_space_is_refused(space: LabelSpace, label: Label, message: str) -> None:
    with pytest.raises(DataError, match=message):
        space.encode(label, where="f, row 3")


def space_of(folder: Path, *labels: str, task: Task | None = None) -> LabelSpace:
    lines = [f'{{"text": "t", "label": {label}}}\n' for label in labels]
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    return read_label_space(open_corpus(folder / "train.jsonl"), task=task)


def test_label_space_is_read_from_the_labels(tmp_path: Path) -> None:
    assert space_of(tmp_path, '"b"', "null", '"a"') == LabelSpace(Task.SINGLE_LABEL, ("a", "b"))
    assert space_of(tmp_path, "10", "9", '"09"') == LabelSpace(Task.SINGLE_LABEL, ("09", "9", "10"))
    assert space_of(tmp_path, '{"b": 1}', '"a"') == LabelSpace(Task.SINGLE_LABEL, ("a", "b"))
    assert space_of(tmp_path, '["b"]', '"a"') == LabelSpace(Task.MULTI_LABEL, ("a", "b"))
    assert space_of(tmp_path, '["a"]', "[]") == ONE
    assert space_of(tmp_path, '"a"', task=Task.MULTI_LABEL) == ONE
    assert space_of(tmp_path, "1.5", "2") == SCORE
    assert space_of(tmp_path, "1", "2", task=Task.REGRESSION) == SCORE
    assert space_of(tmp_path, '"nan"', '"inf"', '"lima"').names == ("inf", "lima", "nan")
    with pytest.raises(
        DataError, match=r"train.jsonl has only the label 'a': a classifier needs two or more"
    ):
        space_of(tmp_path, '"a"', "null")
    with pytest.raises(DataError, match=r"train.jsonl has no labels: name the column with --label-column"):
        space_of(tmp_path, "null")
    with pytest.raises(DataError, match=r"train.jsonl, row 2: the label nan is not a finite number"):
        space_of(tmp_path, "1", '"nan"', "2")


def test_texts_of_one_class_have_one_stratum() -> None:
    assert stratum_of({"a": 0.2, "b": 0.8}) == stratum_of({"b": 0.6, "c": 0.4}) == stratum_of("b")
    assert stratum_of(("a", "b")) == stratum_of(("b", "a")) != stratum_of("a")
    assert len({stratum_of(label) for label in (None, "null", (), "a", ("a",))}) == 5
    # Equally likely names: the same one whatever their order.
    assert stratum_of({"a": 0.5, "b": 0.5}) == stratum_of({"b": 0.5, "a": 0.5})


def test_scores_are_numbers_of_which_some_are_not_whole() -> None:
    assert are_scores({"1", "2.5"})
    assert not are_scores({"1", "2.0"})
    assert not are_scores({"1.5", "a"})
    assert not are_scores(set())
