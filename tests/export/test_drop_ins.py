"""A bundle answers as transformers' pipeline answers its student, and as scikit-learn takes a classifier."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from transformers import PreTrainedModel, pipeline

from mixkd.errors import ConfigError, DataError, InputError
from mixkd.export import ExportConfig, export
from mixkd.runtime import BundleEstimator, Classifier, TextClassificationPipeline
from tests.tiny import tiny_classifier, tiny_texts, write_student

TEXTS = tiny_texts(30)
PAIR = {"text": TEXTS[0], "text_pair": TEXTS[1]}
CALLS: dict[str, Callable[[Any], Any]] = {
    "one text": lambda pipe: pipe(TEXTS[0]),
    "one text, two labels": lambda pipe: pipe(TEXTS[0], top_k=2),
    "one text, one label in a list": lambda pipe: pipe(TEXTS[0], top_k=1),
    "one text, all labels": lambda pipe: pipe(TEXTS[0], top_k=None),
    "one text, more labels than there are": lambda pipe: pipe(TEXTS[0], top_k=99),
    "one pair": lambda pipe: pipe(PAIR),
    "one pair, two labels": lambda pipe: pipe(PAIR, top_k=2),
    "one dict": lambda pipe: pipe({"text": TEXTS[0]}),
    "a list": lambda pipe: pipe(TEXTS),
    "a list in batches": lambda pipe: pipe(TEXTS, batch_size=8),
    "a list, two labels": lambda pipe: pipe(TEXTS, top_k=2),
    "a list, all labels": lambda pipe: pipe(TEXTS, top_k=None, truncation=True),
    "a list of one": lambda pipe: pipe(TEXTS[:1]),
    "pairs": lambda pipe: pipe([PAIR, {"text": TEXTS[2], "text_pair": TEXTS[3]}]),
    "a generator": lambda pipe: list(pipe(text for text in TEXTS)),
    "a generator, two labels": lambda pipe: list(pipe((text for text in TEXTS), top_k=2, batch_size=4)),
}
TASKS: dict[str, dict[str, Any]] = {
    "single": {"problem_type": "single_label_classification"},
    "multi": {"problem_type": "multi_label_classification"},
    "regression": {"problem_type": "regression", "num_labels": 1},
}


class Exported:
    """A student, its bundle with the fp32 graph, and its bundle with the int8 graph."""

    def __init__(self, folder: Path, model: PreTrainedModel) -> None:
        self.student = write_student(folder / "student", model)
        self.fp32, self.int8 = folder / "fp32", folder / "int8"
        export(self.student, self.fp32, config=ExportConfig(int8=False))
        export(self.student, self.int8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    folder = tmp_path_factory.mktemp("drop-ins")
    return {
        task: Exported(folder / task, tiny_classifier("bert", **changes)) for task, changes in TASKS.items()
    }


def shape(answer: Any) -> Any:
    """Return an answer with every score as zero: its lists, dicts, keys and labels."""
    if isinstance(answer, list):
        return [shape(part) for part in answer]
    assert type(answer) is dict
    assert type(answer["score"]) is float
    return {key: 0 if key == "score" else value for key, value in answer.items()}


def scores(answer: Any) -> Iterator[float]:
    for part in answer if isinstance(answer, list) else [answer]:
        if isinstance(part, list):
            yield from scores(part)
        else:
            yield part["score"]


@pytest.mark.parametrize("task", TASKS)
def test_every_call_is_answered_as_transformers_answers_it(exported: dict[str, Exported], task: str) -> None:
    theirs = pipeline("text-classification", str(exported[task].student), device="cpu")
    ours = TextClassificationPipeline(exported[task].fp32)
    for name, call in CALLS.items():
        expected, found = call(theirs), call(ours)
        assert shape(found) == shape(expected), name
        assert list(scores(found)) == pytest.approx(list(scores(expected)), abs=2e-5), name


@pytest.mark.parametrize("task", TASKS)
def test_what_is_set_at_the_start_holds_for_every_call(exported: dict[str, Exported], task: str) -> None:
    theirs = pipeline("text-classification", str(exported[task].student), device="cpu", top_k=2)
    ours = TextClassificationPipeline(Classifier.load(exported[task].fp32), top_k=2)
    for inputs in (TEXTS[0], TEXTS, PAIR):
        assert shape(ours(inputs)) == shape(theirs(inputs))
        assert shape(ours(inputs, top_k=1)) == shape(theirs(inputs, top_k=1))


def test_int8_gives_the_labels_that_transformers_gives(exported: dict[str, Exported]) -> None:
    theirs = pipeline("text-classification", str(exported["single"].student), device="cpu")
    ours = TextClassificationPipeline(exported["single"].int8, threads=1)
    for name, call in CALLS.items():
        if "all" not in name and "two" not in name and "more" not in name:
            assert shape(call(ours)) == shape(call(theirs)), name


def test_no_text_gets_no_answer(exported: dict[str, Exported]) -> None:
    # As in transformers 4; transformers 5 looks at the first text before it counts them.
    assert TextClassificationPipeline(exported["single"].int8)([]) == []


def test_an_iterator_is_answered_as_it_is_read(exported: dict[str, Exported]) -> None:
    read = []

    def source() -> Iterator[str]:
        for text in TEXTS:
            read.append(text)
            yield text

    answers = TextClassificationPipeline(exported["single"].int8)(source())
    next(answers)
    assert read == TEXTS[:1]


def test_below_a_threshold_the_one_answer_abstains(exported: dict[str, Exported]) -> None:
    ours = TextClassificationPipeline(exported["single"].int8, threshold=1.0, abstain_label="none of them")
    ((answer,), plain) = ours(TEXTS[0], top_k=1), ours(TEXTS[0])
    assert answer["label"].startswith("label-")
    assert plain == [{"label": "none of them", "score": answer["score"]}]


@pytest.mark.parametrize(
    ("inputs", "asked", "words"),
    [
        (TEXTS[0], {"top_k": 0}, "top_k is 0"),
        (TEXTS[0], {"top_k": True}, "top_k is True"),
        (TEXTS[0], {"function_to_apply": "none"}, "function_to_apply is 'none': this bundle's is 'softmax'"),
        (TEXTS[0], {"truncation": False}, "truncation=False"),
        ([["a", "b"]], {}, "an input is a str or .*, not list"),
        ({"text_pair": "b"}, {}, "an input is a str or .*, not a dict of text_pair"),
        ([{"text": "a", "b": "c"}], {}, "not a dict of text, b"),
        ({"text": 7}, {}, "int"),
    ],
)
def test_what_a_bundle_cannot_follow_is_refused(
    exported: dict[str, Exported], inputs: Any, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises((ConfigError, InputError), match=words):
        TextClassificationPipeline(exported["single"].int8)(inputs, **asked)


def test_options_belong_to_a_folder(exported: dict[str, Exported]) -> None:
    with pytest.raises(ConfigError, match="threads: give it where the classifier is made"):
        TextClassificationPipeline(Classifier.load(exported["single"].int8), threads=1)


def labelled(folder: Path) -> tuple[list[str], list[str]]:
    """Texts with the labels that the bundle gives, but for every fourth: these go through all labels."""
    found = Classifier.load(folder, threads=1).predict(tiny_texts(120))
    labels = [answer.label for answer in found]
    labels[::4] = [f"label-{number % 5}" for number in range(30)]
    return tiny_texts(120), labels


def test_the_estimator_answers_as_the_classifier(exported: dict[str, Exported]) -> None:
    folder = exported["single"].int8
    estimator, classifier = BundleEstimator(folder, threads=1), Classifier.load(folder, threads=1)
    assert estimator.predict(TEXTS).tolist() == [answer.label for answer in classifier.predict(TEXTS)]
    assert estimator.classes_.tolist() == sorted(classifier.labels)
    assert np.array_equal(estimator.predict_proba(np.array(TEXTS)), classifier.predict_proba(TEXTS))
    pairs = list(pairwise(TEXTS))
    assert np.array_equal(estimator.predict_proba(np.array(pairs)), classifier.predict_proba(pairs))


def test_scikit_learn_scores_it_by_parts_of_the_texts(exported: dict[str, Exported]) -> None:
    texts, labels = labelled(exported["single"].int8)
    estimator = BundleEstimator(exported["single"].int8, threads=1)
    assert is_classifier(estimator)
    accuracy = cross_val_score(estimator, texts, labels, cv=4)
    right = estimator.predict(texts) == np.array(labels)
    assert 0 < right.mean() < 1
    assert accuracy.mean() == pytest.approx(right.mean())
    loss = cross_val_score(estimator, np.array(texts, object), labels, cv=2, scoring="neg_log_loss")
    expected = np.log(
        estimator.predict_proba(texts)[np.arange(120), np.searchsorted(estimator.classes_, labels)]
    )
    assert loss.mean() == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_scikit_learn_calibrates_it(exported: dict[str, Exported], method: str) -> None:
    texts, labels = labelled(exported["single"].int8)
    frozen = FrozenEstimator(BundleEstimator(exported["single"].int8, threads=1))
    calibrated = CalibratedClassifierCV(frozen, method=method, cv=3).fit(texts, labels)
    found = calibrated.predict_proba(texts)
    assert found.shape == (120, 5)
    assert found.sum(axis=1) == pytest.approx(np.ones(120))

    def log_loss(shares: Any) -> float:
        picked = shares[np.arange(120), np.searchsorted(calibrated.classes_, labels)]
        return float(-np.log(np.maximum(picked, 1e-9)).mean())

    assert log_loss(found) < log_loss(frozen.predict_proba(texts))


def test_the_estimator_keeps_its_parameters(exported: dict[str, Exported]) -> None:
    estimator = BundleEstimator(exported["single"].int8, threads=1)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert copy.set_params(preset="low-memory").classifier.predict(TEXTS[0]).label
    with pytest.raises(ConfigError, match="there is no parameter 'depth'"):
        copy.set_params(depth=3)


def test_the_estimator_is_never_fitted_anew(exported: dict[str, Exported]) -> None:
    estimator = BundleEstimator(exported["single"].int8)
    assert estimator.fit(TEXTS[:1], ["label-1"]) is estimator
    with pytest.raises(DataError, match="has no label 'cats'"):
        estimator.fit(TEXTS[:2], ["label-1", "cats"])
    with pytest.raises(ConfigError, match="is regression: an estimator takes single-label"):
        BundleEstimator(exported["regression"].int8).predict(TEXTS)
    with pytest.raises(InputError, match="many texts"):
        estimator.predict(TEXTS[0])


def test_neither_needs_the_packages_that_it_stands_in_for(exported: dict[str, Exported]) -> None:
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('sklearn', 'transformers', 'torch')))  # importing one fails\n"
        "from mixkd.runtime import BundleEstimator, TextClassificationPipeline\n"
        "print(TextClassificationPipeline(sys.argv[1])('bada')[0]['label'])\n"
        "print(BundleEstimator(sys.argv[1]).fit(['bada'], ['label-1']).predict(['bada'])[0])"
    )
    command = [sys.executable, "-c", program, str(exported["single"].int8)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stdout.split()
    assert first == second
