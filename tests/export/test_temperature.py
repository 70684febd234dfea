"""A bundle is calibrated: whoever runs its graphs gets the new scores, and nobody another label."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import mixkd.runtime.calibration
from mixkd.cli import app
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import BundleError, OutputError
from mixkd.export import ExportConfig, export
from mixkd.export.sessions import session_of
from mixkd.metrics import calibration_error
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.calibration import calibrate
from mixkd.runtime.encoding import Encoder
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from tests.tiny import tiny_classifier, tiny_texts, write_doubtful, write_student

TOO_SURE = 3.0
TEXTS = tiny_texts(40)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student, its bundle, and texts whose labels say that its scores are three times too sure."""
    folder, model = tmp_path_factory.mktemp("temperature"), tiny_classifier("bert")
    write_student(folder / "student", model)
    write_doubtful(folder / "data", model, {"validation": 500, "test": 500}, temperature=TOO_SURE)
    strange = "\n".join(["text", *("zz " * n for n in range(1, 20)), *tiny_texts(20)])
    (folder / "strange.tsv").write_text(f"{strange}\n", encoding="utf-8")
    export(folder / "student", folder / "bundle", config=ExportConfig(keep_fp32=True))
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


def outputs(folder: Path, file: str, text: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits and the probabilities that a program of any language reads."""
    graph = onnx.load(folder / file)
    names = tuple(value.name for value in graph.graph.input)
    encoder = Encoder.from_folder(folder, max_length=46, inputs=names)
    found = session_of(graph).run(["logits", "probabilities"], encoder.feed([encoder.encode_one(text)]))
    return found[0], found[1]


def test_scores_are_calibrated_and_labels_stay(made: Path, bundle: Path) -> None:
    before = Classifier.load(bundle, threads=1)
    found = calibrate(bundle, open_corpus(made / "data"))
    assert found.temperature is not None
    factor = found.temperature.factor
    assert factor == pytest.approx(TOO_SURE, rel=0.15)
    after = Classifier.load(bundle, threads=1)
    old, new = before.predict_proba(TEXTS).astype(float), after.predict_proba(TEXTS)
    expected = old ** (1 / factor)
    np.testing.assert_allclose(new, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)
    assert [a.label for a in after.predict(TEXTS)] == [b.label for b in before.predict(TEXTS)]


def test_the_error_that_is_told_is_that_of_the_test_split(made: Path, bundle: Path) -> None:
    rows = list(open_corpus(made / "data").read("test"))

    def error() -> float:
        classifier = Classifier.load(bundle, threads=1)
        shares = classifier.predict_proba([row.content for row in rows])
        right = np.array([classifier.labels[i] for i in shares.argmax(axis=1)]) == [row.label for row in rows]
        return calibration_error(np.log(np.maximum(shares, 1e-45)), right)

    before = error()
    found = calibrate(bundle, open_corpus(made / "data")).temperature
    assert found is not None
    assert (found.judged_on.texts, found.chosen_on.texts) == (500, 500)
    assert found.judged_on.ece_before == pytest.approx(before, abs=1e-6)
    assert found.judged_on.ece_after == pytest.approx(error(), abs=1e-6)
    assert found.judged_on.ece_after < found.judged_on.ece_before / 3
    assert open_bundle(bundle).manifest.quality["temperature"]["judged_on"]["texts"] == 500


@pytest.mark.parametrize("file", [INT8_FILE, FP32_FILE])
def test_logits_and_probabilities_of_every_graph_have_the_temperature(
    made: Path, bundle: Path, file: str
) -> None:
    found = calibrate(bundle, open_corpus(made / "data")).temperature
    assert found is not None
    for text in TEXTS[:5]:
        logits, shares = outputs(bundle, file, text)
        np.testing.assert_allclose(logits, outputs(made / "bundle", file, text)[0] / found.factor, rtol=1e-5)
        odds = np.exp(logits.astype(float))
        np.testing.assert_allclose(shares, odds / odds.sum(), rtol=1e-5)


def test_the_graph_of_text_to_label_has_the_temperature(made: Path, tmp_path: Path) -> None:
    extensions = pytest.importorskip("onnxruntime_extensions")
    from onnxruntime import InferenceSession, SessionOptions

    export(made / "student", tmp_path / "bundle", config=ExportConfig(with_tokenizer=True))
    assert calibrate(tmp_path / "bundle", open_corpus(made / "data")).temperature is not None
    options = SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    session = InferenceSession(tmp_path / "bundle/onnx/text_to_label.onnx", options)
    classifier = Classifier.load(tmp_path / "bundle", threads=1)
    for text in TEXTS[:5]:
        label, score = session.run(["label", "score"], {"text": np.array([text])})
        answer = classifier.predict(text)
        assert (label[0], score[0]) == (answer.label, pytest.approx(answer.score, rel=1e-4))


def test_a_second_calibration_changes_next_to_nothing(made: Path, bundle: Path) -> None:
    first = calibrate(bundle, open_corpus(made / "data"))
    second = calibrate(bundle, open_corpus(made / "data"))
    if second.temperature is not None:
        assert second.temperature.factor == pytest.approx(1, abs=0.02)
    else:
        assert second.sha256 == first.sha256
        assert second.note is not None


def test_the_threshold_is_chosen_on_the_new_scores(made: Path, bundle: Path) -> None:
    strange = open_corpus(made / "strange.tsv")
    found = calibrate(bundle, open_corpus(made / "data"), strange, abstain_label="none")
    assert found.temperature is not None
    assert found.chosen_on is not None
    classifier = Classifier.load(bundle, threads=1)
    answers = [classifier.predict(row.text) for row in strange.read("train")]
    assert np.mean([answer.abstained for answer in answers]) == found.chosen_on.out_of_scope_recall
    rows = list(open_corpus(made / "data").read("validation"))
    right = [classifier.predict(row.text).label == row.label for row in rows]
    assert np.mean(right) == found.chosen_on.in_scope_accuracy
    manifest = open_bundle(bundle).manifest
    assert (manifest.threshold, manifest.abstain_label) == (found.threshold, "none")
    assert set(manifest.quality) >= {"temperature", "abstention"}


def test_the_command_prints_both_errors_and_the_new_sha256(made: Path, bundle: Path) -> None:
    words = ["calibrate", str(bundle), "--data", str(made / "data")]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    first, chosen, judged, *_, last = said.stdout.splitlines()
    assert first.startswith("temperature ")
    assert chosen.startswith("chosen on 500 texts: calibration error ")
    assert judged.startswith("judged on 500 texts: calibration error ")
    assert last == f"sha256 {open_bundle(bundle).sha256}"
    strange = ["--oos", str(made / "strange.tsv"), "--no-temperature", "--json"]
    found = json.loads(CliRunner().invoke(app, [*words, *strange]).stdout)
    assert found["temperature"] is None
    assert found["threshold"] == open_bundle(bundle).manifest.threshold


@pytest.mark.parametrize("temperature", [True, False])
def test_a_signature_does_not_outlive_what_it_signed(
    made: Path, bundle: Path, tmp_path: Path, temperature: bool
) -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mixkd.runtime.signing import sign
    from tests.runtime.test_signing import write_keys

    private, public = write_keys(tmp_path, "key", Ed25519PrivateKey.generate())
    sign(bundle, private)
    before = open_bundle(bundle).sha256
    strange = open_corpus(made / "strange.tsv")
    found = calibrate(bundle, open_corpus(made / "data"), strange, temperature=temperature)
    assert found.note == "sign the bundle again"
    assert found.sha256 == open_bundle(bundle).sha256 != before
    with pytest.raises(BundleError, match="is not signed"):
        Classifier.load(bundle, verify_key=public)
    with pytest.raises(BundleError, match="another bundle"):
        Classifier.load(bundle, expect_sha256=before)
    sign(bundle, private)
    assert Classifier.load(bundle, verify_key=public).predict(TEXTS[0]).label


def test_a_bundle_stays_as_it_was_if_calibrating_fails_in_between(
    made: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    monkeypatch.setattr(mixkd.runtime.calibration, "write_manifest", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        calibrate(bundle, open_corpus(made / "data"))
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_the_current_folder_is_not_replaced(
    made: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle)
    with pytest.raises(OutputError, match="call mkd calibrate from another one"):
        calibrate(Path(), open_corpus(made / "data"))
    strange = open_corpus(made / "strange.tsv")
    assert calibrate(Path(), open_corpus(made / "data"), strange, temperature=False).threshold is not None
