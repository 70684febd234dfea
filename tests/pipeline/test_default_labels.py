"""A binary teacher with the default labels, from its fine-tuning to the report of `mkd bench`."""

import json
from pathlib import Path

import pytest

from mixkd.bench import bench
from mixkd.bench.config import BenchConfig
from mixkd.compress import distill, finetune
from mixkd.compress.config import DistillConfig, FinetuneConfig
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.export import ExportConfig, export
from mixkd.runtime import open_bundle
from tests.tiny import tiny_classifier, tiny_texts, write_student

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Texts labelled LABEL_0 and LABEL_1, by the vowel that their first word ends with."""
    folder = tmp_path_factory.mktemp("data")
    texts = tiny_texts(120)
    for split, part in (("train", texts[:80]), ("validation", texts[80:100]), ("test", texts[100:])):
        rows = [f"{text}\tLABEL_{int(text.split()[0][-1] in 'aio')}" for text in part]
        (folder / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return open_corpus(folder)


def test_teacher_with_default_labels_is_measured_as_teacher_and_as_student(
    corpus: Corpus, tmp_path: Path
) -> None:
    encoder, teacher, student, bundle = (
        tmp_path / name for name in ("encoder", "teacher", "student", "bundle")
    )
    write_student(encoder, tiny_classifier("bert"))
    first = FinetuneConfig(epochs=1, batch_size=16, max_length=24)
    finetune(str(encoder), corpus, teacher, config=first)
    second = DistillConfig(student_layers=1, epochs=1, batch_size=16, max_length=24)
    distill(str(teacher), corpus, student, config=second)
    for folder in (teacher, student):
        assert "id2label" not in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    export(student, bundle, config=ExportConfig(), data=corpus)
    assert open_bundle(bundle).manifest.labels == ("LABEL_0", "LABEL_1")
    report = bench(
        bundle,
        corpus,
        teacher=teacher,
        student=student,
        config=BenchConfig(samples=16, block=8, curve_samples=0, resamples=100),
    )
    assert [(absent.label, absent.reason) for absent in report.absent] == []
    assert [row.label for row in report.rows] == [
        "teacher-torch",
        "teacher-onnx",
        "teacher-int8",
        "student-fp32",
        "student-int8",
    ]
