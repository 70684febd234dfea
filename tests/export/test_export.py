"""A student becomes a bundle that the runtime reads, or nothing at all."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from transformers import BertConfig, BertModel, PreTrainedModel

from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError, DataError, ModelError, OutputError
from mixkd.export import ExportConfig, export
from mixkd.export.convert import convert
from mixkd.export.judge.reference import TorchModel, export_fp32
from mixkd.outputs import fresh_folder
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.manifest import Precision
from tests.tiny import SIZES, tiny_classifier, tiny_texts, tiny_tokenizer, write_student


@pytest.fixture(scope="module")
def bundle(student: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "bundle"
    export(student, folder, config=ExportConfig(keep_fp32=True), data=open_corpus(data))
    return folder


def test_bundle_holds_both_graphs_and_the_measured_quality(bundle: Path, student: Path) -> None:
    opened = open_bundle(bundle)
    manifest = opened.manifest
    assert manifest.precision is Precision.INT8
    assert manifest.recipe == "portable"
    assert manifest.labels == tuple(f"label-{i}" for i in range(5))
    assert opened.fp32_path is not None
    assert manifest.quality["student"] == manifest.quality["fp32"] == manifest.quality["fp32_agreement"] == 1
    assert manifest.quality["int8"] == manifest.quality["int8_agreement"]
    weights = (student / "model.safetensors").read_bytes()
    assert manifest.provenance["student_sha256"] == hashlib.sha256(weights).hexdigest()


def test_no_file_of_a_bundle_says_where_anything_stood(bundle: Path, student: Path, data: Path) -> None:
    homes = {str(student.parent), str(data.parent), str(bundle.parent), str(Path.home()), str(Path.cwd())} - {
        "/"
    }
    for file in bundle.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [home for home in homes if home.encode() in content], file


def test_card_tells_what_became_of_the_graph(bundle: Path) -> None:
    rewrites = json.loads((bundle / "export.json").read_text())["rewrites"]
    card = (bundle / "README.md").read_text()
    assert rewrites["narrowed"] > 8
    assert (
        f"2 of 2 attentions are fused into one node; {rewrites['narrowed']} nodes compute only the first"
        in card
    )


def test_classifier_answers_as_the_student_does(bundle: Path, student: Path) -> None:
    texts = tiny_texts(40)
    expected = TorchModel(student, max_length=48).logits(texts).argmax(axis=1)
    found = [prediction.label for prediction in Classifier.load(bundle).predict(texts)]
    same = sum(label == f"label-{i}" for label, i in zip(found, expected, strict=True))
    assert same >= 38


def test_graphs_load_in_onnxruntime_1_21(bundle: Path) -> None:
    for file in (bundle / "onnx").iterdir():
        model = onnx.load(file)
        assert model.ir_version <= 9
        assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, "com.microsoft": 1}


def test_fp32_bundle_answers_as_pytorch_does(student: Path, tmp_path: Path) -> None:
    result = export(student, tmp_path / "fp32", config=ExportConfig(int8=False))
    assert result.bundle.manifest.precision is Precision.FP32
    assert result.bundle.manifest.model_file == "onnx/model.onnx"
    assert result.quality is None


def test_max_length_is_what_the_student_was_trained_with(student: Path, tmp_path: Path) -> None:
    trained = tmp_path / "student"
    write_student(trained, tiny_classifier("bert"))
    (trained / "run.json").write_text(json.dumps({"config": {"max_length": 24}}))
    result = export(trained, tmp_path / "bundle", config=ExportConfig())
    assert result.bundle.manifest.max_length == 24


def test_max_length_beyond_the_positions_is_refused(student: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--max-length must be at most 48"):
        export(student, tmp_path / "b", config=ExportConfig(max_length=49))


def test_export_fp32_writes_a_graph_that_answers_as_pytorch_does(student: Path, tmp_path: Path) -> None:
    import onnxruntime

    file = tmp_path / "sub" / "teacher.onnx"
    export_fp32(student, file)
    model = TorchModel(student, threads=1, max_length=48)
    encoded = model.encode(["bada kofo", "mili"])
    feed = {name: tensor.numpy() for name, tensor in encoded.items()}
    (found,) = onnxruntime.InferenceSession(file).run(["logits"], feed)
    np.testing.assert_allclose(found, model.run(encoded), atol=1e-5)


def test_folder_that_is_missing_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model folder at .*: give a folder with config\.json"):
        export(tmp_path / "nothing", tmp_path / "b", config=ExportConfig())
    assert list(tmp_path.iterdir()) == []


def test_model_without_classification_head_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "headless"
    BertModel(BertConfig(**SIZES)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    with pytest.raises(ModelError, match="no trained classification head"):
        export(folder, tmp_path / "b", config=ExportConfig())


@pytest.mark.parametrize(
    ("weight", "words"), [(float("nan"), "NaN or infinite weights"), (3e38, "NaN or infinite logits")]
)
def test_student_without_finite_answers_is_refused(tmp_path: Path, weight: float, words: str) -> None:
    model = tiny_classifier("bert")
    model.state_dict()["classifier.weight"].fill_(weight)
    student = write_student(tmp_path / "student", model)
    with pytest.raises(ModelError, match=words) as refused:
        export(student, tmp_path / "b")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_graph_without_finite_answers_is_refused(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The student answers well; its graph overflows.
    def overflowing(model: PreTrainedModel, inputs: tuple[str, ...], **options: Any) -> onnx.ModelProto:
        graph = convert(model, inputs, **options)
        (bias,) = [tensor for tensor in graph.graph.initializer if tensor.name == "classifier.bias"]
        bias.CopyFrom(onnx.numpy_helper.from_array(np.full(5, np.inf, np.float32), bias.name))
        return graph

    monkeypatch.setattr("mixkd.export.stage.convert", overflowing)
    with pytest.raises(ModelError, match="its graph gives NaN or infinite logits"):
        export(student, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_the_student_has_not_got_are_refused(student: Path, tmp_path: Path) -> None:
    data = tmp_path / "test.tsv"
    data.write_text("text\tlabel\nbada\tunheard-of\n")
    with pytest.raises(DataError, match="unheard-of"):
        export(student, tmp_path / "b", config=ExportConfig(), data=open_corpus(data))
    assert not (tmp_path / "b").exists()


def test_output_that_holds_something_else_is_refused(student: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(OutputError, match="holds kept"):
        export(student, tmp_path, config=ExportConfig())
    assert (tmp_path / "kept").read_text() == "mine"


def test_full_disk_is_one_clear_line_and_leaves_the_old_bundle(student: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    with fresh_folder(folder) as written:
        (written / "old").write_text("old")
    code = (
        "import resource, sys\n"
        "from mixkd.cli import main\n"
        "import onnx, torch.onnx\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "import mixkd.export.files as files\n"
        "whole = files.write_graphs\n"
        "def limited(*args, **options):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "    whole(*args, **options)\n"
        "import mixkd.export.stage as stage; stage.write_graphs = limited\n"
        f"sys.argv = ['mkd', 'export', {str(student)!r}, '--output', {str(folder)!r}, '--overwrite']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no space left" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (folder / "old").read_text() == "old"


def test_budget_without_data_is_refused(student: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        export(student, tmp_path / "b", config=ExportConfig(max_drop=0.5))


@pytest.mark.parametrize(
    ("problem", "width", "scores"),
    [
        ("single_label_classification", 5, lambda logits: logits.softmax(dim=-1)),
        ("multi_label_classification", 5, torch.sigmoid),
        ("multi_label_classification", 1, torch.sigmoid),
        ("regression", 1, lambda logits: logits),
    ],
)
def test_scores_are_those_of_pytorch_for_every_task(
    tmp_path: Path, problem: str, width: int, scores: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    model = tiny_classifier("bert", num_labels=width, problem_type=problem)
    student = write_student(tmp_path / "student", model)
    export(student, tmp_path / "bundle", config=ExportConfig(int8=False))
    texts: list[str | tuple[str, str]] = [*tiny_texts(12), ("bada kofo", "mili"), ""]
    pytorch = TorchModel(student, max_length=48)
    logits = np.concatenate([pytorch.logits([text]) for text in texts])
    expected = scores(torch.from_numpy(logits)).numpy()
    classifier = Classifier.load(tmp_path / "bundle")
    np.testing.assert_allclose(classifier.predict_proba(texts), expected, rtol=1e-4, atol=1e-5)
    alone = [classifier.predict(text) for text in texts]
    assert [answer.score for answer in alone] == pytest.approx(expected.max(axis=1).tolist(), abs=1e-5)
    assert [answer.score for answer in classifier.predict(texts)] == pytest.approx(
        [answer.score for answer in alone], abs=1e-5
    )
    if problem.startswith("multi"):
        names = [{f"label-{i}" for i in np.flatnonzero(row >= 0.5)} for row in expected]
        assert [set(answer.labels) for answer in alone] == names
