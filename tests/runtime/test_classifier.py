from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mixkd.runtime
from mixkd.runtime import BundleError, Classifier, ConfigError, InputError, Prediction, Preset, Task
from mixkd.runtime.encoding import Text, Tokens
from mixkd.runtime.manifest import INT8_FILE
from tests.runtime.conftest import MakeBundle

# The answers of the committed bundle; a change says that the runtime or onnxruntime now answers differently.
GOLDEN = [
    ("send my money to the account", "transfer", 0.9896),
    ("what is the weather in paris today", "weather", 0.9871),
    ("is it going to rain, or will the sun shine? tell me what to put on", "weather", 0.9658),
    ("wake me up at 7", "alarm", 0.9919),
    ("", "out_of_scope", 0.9918),
]


@pytest.mark.parametrize(("text", "label", "score"), GOLDEN)
def test_predict_gives_the_golden_answer(classifier: Classifier, text: str, label: str, score: float) -> None:
    prediction = classifier.predict(text)
    assert prediction.label == label
    assert prediction.score == pytest.approx(score, abs=0.002)


def test_predict_gives_one_prediction_for_a_text_or_pair_and_a_list_for_a_list(
    classifier: Classifier,
) -> None:
    assert isinstance(classifier.predict("pay"), Prediction)
    assert isinstance(classifier.predict(("pay", "the account")), Prediction)
    assert classifier.predict([]) == []
    assert classifier.predict(["pay"]) == [classifier.predict("pay")]
    mixed: list[Text] = ["pay", ("pay", "the account")]
    assert len(classifier.predict(mixed)) == 2


def test_predict_reads_both_texts_of_a_pair(classifier: Classifier) -> None:
    answers = {classifier.predict(("pay", second)).score for second in ("rain", "the account", "at 7")}
    assert len(answers) == 3


def test_predict_keeps_the_order_of_a_list_of_mixed_lengths(classifier: Classifier, texts: list[str]) -> None:
    alone = [classifier.predict(text) for text in texts]
    assert classifier.predict(texts * 40) == alone * 40  # int8 too: neighbours have no say


def test_predict_batches_int8_with_the_throughput_preset_alone(
    bundle: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    classifier = Classifier.load(bundle, threads=1, preset="throughput")
    run = classifier._predictor._run

    def counted(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        calls.append(len(batch))
        return run(batch)

    monkeypatch.setattr(classifier._predictor, "_run", counted)
    for one, many in zip(
        [classifier.predict(text) for text in texts], classifier.predict(texts), strict=True
    ):
        assert many.score == pytest.approx(one.score, abs=0.01)  # scaled over the batch
    assert calls == [len(texts)]  # a text alone goes its own way


def test_predict_proba_is_a_distribution_that_predict_agrees_with(
    classifier: Classifier, texts: list[str]
) -> None:
    shares = classifier.predict_proba(texts)
    assert shares.shape == (len(texts), len(classifier.labels))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    one = classifier.predict_proba(texts[0])
    assert one.shape == (len(classifier.labels),)
    best = classifier.predict(texts[0])
    assert best.label == classifier.labels[one.argmax()]
    assert best.score == pytest.approx(float(one.max()))
    assert classifier.predict_proba([]).shape == (0, len(classifier.labels))


def test_top_k_gives_the_best_labels_in_order(classifier: Classifier) -> None:
    answer = classifier.predict("pay", top_k=3)
    shares = classifier.predict_proba("pay")
    order = np.argsort(-shares)[:3]
    assert [name for name, _ in answer.top] == [classifier.labels[i] for i in order]
    assert [share for _, share in answer.top] == pytest.approx([float(shares[i]) for i in order])
    assert len(classifier.predict("pay", top_k=99).top) == len(classifier.labels)


def test_predict_says_that_a_text_was_truncated_only_when_it_was(classifier: Classifier) -> None:
    room = classifier.manifest.max_length - 2
    assert not classifier.predict("a " * room).truncated
    assert classifier.predict("a " * (room + 1)).truncated
    assert [answer.truncated for answer in classifier.predict(["a", "a " * 99, "b"])] == [False, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n",
        "\x00\x01\x1b[31m\x7f\u200b\ufeff",
        "\ud800",
        "pay \udfff now",
        "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u0627\u062f\u0641\u0639 \u05e9\u05dc\u05dd",
        "\u202epay\u202c",
        "e\u0301" * 500,
        "x" * 1_000_000,
        "pay " * 250_000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_predict_answers_any_str(classifier: Classifier, text: str) -> None:
    for answer in (classifier.predict(text), classifier.predict((text, text)), classifier.predict([text])[0]):
        assert answer.label in classifier.labels
        assert 0 < answer.score <= 1


def test_predict_reads_a_lone_surrogate_as_the_replacement_character(classifier: Classifier) -> None:
    assert classifier.predict("pay \ud800 now") == classifier.predict("pay \ufffd now")
    assert classifier.predict("pay \ud83d\ude00") == classifier.predict("pay \U0001f600")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (None, "NoneType"),
        (b"pay", "bytes"),
        (3, "int"),
        ({"text": "pay"}, "dict"),
        (np.array(["pay"]), "ndarray"),
        (["pay", 3.5], "float"),
        ([["pay", "now"]], "list"),
        (("pay",), "(str)"),
        (("pay", None), "(str, NoneType)"),
        (("pay", "now", "then"), "(str, str, str)"),
    ],
)
def test_predict_refuses_a_wrong_type_by_name(classifier: Classifier, wrong: Any, named: str) -> None:
    for ask in (classifier.predict, classifier.predict_proba):
        with pytest.raises(InputError, match=r"str") as caught:
            ask(wrong)
        assert named in str(caught.value)
        assert isinstance(caught.value, TypeError)


def test_threshold_abstains_below_it(bundle: Path) -> None:
    sure = Classifier.load(bundle, threads=1, threshold=0.0).predict("pay")
    unsure = Classifier.load(bundle, threads=1, threshold=1.0, abstain_label="ask a person").predict("pay")
    assert not sure.abstained
    assert unsure.abstained
    assert unsure.label == "ask a person"
    assert unsure.score == sure.score


def test_threshold_is_the_bundles_own_unless_given(make_bundle: MakeBundle) -> None:
    folder = make_bundle(threshold=1.0, abstain_label="oos")
    assert Classifier.load(folder, threads=1).predict("pay").label == "oos"
    assert not Classifier.load(folder, threads=1, threshold=0.0).predict("pay").abstained


def test_multi_label_gives_every_label_above_the_threshold(make_bundle: MakeBundle) -> None:
    folder = make_bundle(task=Task.MULTI_LABEL)
    shares = Classifier.load(folder, threads=1).predict_proba("pay")
    least = float(np.sort(shares)[-2])
    classifier = Classifier.load(folder, threads=1, threshold=least)
    answer = classifier.predict("pay")
    assert answer.labels == tuple(classifier.labels[i] for i in np.argsort(-shares)[:2])
    assert answer.label == answer.labels[0]
    nothing = Classifier.load(folder, threads=1, threshold=1.0, abstain_label="none").predict("pay")
    assert (nothing.label, nothing.labels, nothing.abstained) == ("none", (), True)


def overflow(folder: Path) -> None:
    """Let the logits overflow: every weight is finite, no logit is."""
    onnx = pytest.importorskip("onnx", reason="onnx comes with the export extra")
    path = folder / INT8_FILE
    model = onnx.load(path)
    (scale,) = (entry for entry in model.graph.initializer if entry.name == "classifier.weight_scale")
    scale.CopyFrom(onnx.numpy_helper.from_array(np.full(5, 3e38, np.float32), scale.name))
    onnx.save(model, path)


@pytest.mark.parametrize("task", [Task.SINGLE_LABEL, Task.MULTI_LABEL])
@pytest.mark.parametrize("preset", ["balanced", "throughput"])
def test_nan_is_never_an_answer(make_bundle: MakeBundle, task: Task, preset: Any) -> None:
    classifier = Classifier.load(make_bundle(overflow, task=task), threads=1, preset=preset)
    for ask in (
        lambda: classifier.predict("pay"),
        lambda: classifier.predict(("pay", "now")),
        lambda: classifier.predict("pay", top_k=2),
        lambda: classifier.predict(["pay", "now"]),
        lambda: classifier.predict_proba("pay"),
        lambda: classifier.predict_proba(["pay", "now"]),
        lambda: next(classifier.stream(["pay"])),
    ):
        with pytest.raises(BundleError, match="the graph gives NaN or infinity for a text"):
            ask()


def test_regression_is_refused_when_it_has_more_than_one_output(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleError, match="one output"):
        make_bundle(task=Task.REGRESSION)


@pytest.mark.parametrize("preset", list(Preset))
def test_presets_give_the_same_answers(
    bundle: Path, classifier: Classifier, texts: list[str], preset: Preset
) -> None:
    other = Classifier.load(bundle, preset=preset)
    for text in texts:
        assert other.predict(text).score == pytest.approx(classifier.predict(text).score, abs=1e-5)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"threads": True}, "threads is True"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"preset": "fast"}, "no preset 'fast'"),
    ],
)
def test_load_refuses_an_impossible_option(bundle: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Classifier.load(bundle, **option)


def test_repr_of_a_prediction_shows_what_it_says() -> None:
    assert repr(Prediction("transfer", 0.98)) == "Prediction(label='transfer', score=0.98)"
    assert "truncated=True" in repr(Prediction("transfer", 0.98, truncated=True))


def test_public_names_are_those_that_are_exported() -> None:
    for name in mixkd.runtime.__all__:
        assert getattr(mixkd.runtime, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        mixkd.runtime.Nothing  # noqa: B018 - the access is what is tested
