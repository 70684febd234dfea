"""A student without attention becomes a bundle like every other."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mixkd.bench import bench
from mixkd.bench.config import BenchConfig
from mixkd.compress.bag import make_bag
from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, ExportResult, export
from mixkd.export.config import Recipe, Rows, VocabularyChoice
from mixkd.export.judge.reference import TorchModel
from mixkd.runtime import Classifier
from tests.tiny import (
    WORDS,
    add_letters,
    tiny_classifier,
    tiny_texts,
    tiny_tokenizer,
    write_answers,
    write_student,
)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_bag(tiny_classifier("bert", vocab_size=9000), tiny_tokenizer(), longest=48, units=64)
    with torch.no_grad():
        model.get_parameter("classifier.weight").normal_(std=0.5)
    return write_student(tmp_path_factory.mktemp("bag") / "bag", model)


@pytest.fixture(scope="module")
def texts(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of some of its words, on which it is right."""
    some = [" ".join(WORDS[i % 20] for i in range(start, start + 1 + start % 7)) for start in range(60)]
    folder = write_answers(tmp_path_factory.mktemp("data") / "data", TorchModel(bag).module, some)
    (folder / "train.tsv").write_bytes((folder / "test.tsv").read_bytes())
    return folder


@pytest.fixture(scope="module")
def made(bag: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    config = ExportConfig(keep_fp32=True, with_tokenizer=True)
    return export(bag, folder, data=open_corpus(texts), config=config)


def test_int8_bag_answers_as_pytorch_does_and_has_nothing_to_excuse(made: ExportResult, bag: Path) -> None:
    assert made.quality is not None
    assert made.quality.fp32_agreement == 1
    assert made.quality.int8_agreement is not None
    assert made.quality.int8_agreement >= 0.95
    assert made.notes == ()
    details = json.loads((made.bundle.folder / "export.json").read_text(encoding="utf-8"))
    assert details["rewrites"]["exact"]
    assert details["rewrites"]["attentions"] == 0
    assert len(details["int8_products"]) == len(details["int8_tables"]) == 1
    sample = tiny_texts(40)
    expected = TorchModel(bag, max_length=48).logits(sample)
    graph = onnx.load(made.bundle.folder / "onnx" / "model.onnx")
    assert [value.name for value in graph.graph.input] == ["input_ids", "attention_mask"]
    found = Classifier.load(made.bundle.folder).predict_proba(sample)
    wanted = torch.softmax(torch.from_numpy(expected), dim=1).numpy()
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_card_of_a_bag_speaks_of_no_attention(made: ExportResult) -> None:
    card = (made.bundle.folder / "README.md").read_text(encoding="utf-8")
    assert "The graph has no attention" in card
    assert "0 of 0" not in card


@pytest.mark.parametrize("recipe", [Recipe.FAST, Recipe.STATIC])
def test_other_recipes_take_a_bag(recipe: Recipe, bag: Path, texts: Path, tmp_path: Path) -> None:
    made = export(bag, tmp_path / "b", data=open_corpus(texts), config=ExportConfig(recipe=(recipe,)))
    assert made.quality is not None
    assert made.quality.int8_agreement is not None
    assert made.quality.int8_agreement >= 0.9


@pytest.mark.parametrize("rows", [Rows.TRIM, Rows.SHARE])
def test_smaller_vocabulary_gives_a_bags_texts_the_same_answers(
    rows: Rows, bag: Path, texts: Path, tmp_path: Path
) -> None:
    student = tmp_path / "student"
    shutil.copytree(bag, student)
    add_letters(student)
    config = ExportConfig(vocabulary=VocabularyChoice(rows))
    made = export(student, tmp_path / "b", data=open_corpus(texts), config=config)
    assert made.trim is not None
    assert made.trim.size - made.trim.kept == len(WORDS) - 20
    assert made.quality is not None
    assert made.quality.fp32_agreement == 1


def test_config_of_the_bundle_is_one_that_other_programs_know(made: ExportResult) -> None:
    config = json.loads((made.bundle.folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "bert"
    assert config["id2label"]["4"] == "label-4"


def test_bench_measures_a_bag_beside_its_teacher(
    made: ExportResult, bag: Path, texts: Path, tmp_path: Path
) -> None:
    teacher = write_student(tmp_path / "teacher", tiny_classifier("bert", vocab_size=9000))
    report = bench(
        made.bundle.folder,
        open_corpus(texts),
        teacher=teacher,
        student=bag,
        output=tmp_path / "report",
        config=BenchConfig.quick(),
    )
    measured = {row.label for row in report.rows if row.latency is not None}
    assert {"teacher-torch", "student-fp32", "student-int8"} <= measured
    assert not report.absent
