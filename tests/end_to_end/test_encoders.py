"""Every encoder of the list goes the whole way: fine-tune, distil with layers cut, export, predict."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from mixkd.compress import distill, finetune
from mixkd.compress.checkpoints import model_inputs
from mixkd.compress.config import DistillConfig, FinetuneConfig
from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, export
from mixkd.runtime import Classifier
from tests.tiny import ENCODERS, WORDS, tiny_classifier, tiny_tokenizer, write_student

pytestmark = pytest.mark.slow

PROBABILITY_BOUND = 0.1
"""The most that any class's probability may differ between the int8 bundle and PyTorch."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(0)
    for split, rows in (("train", 160), ("validation", 20), ("test", 60)):
        lines = [
            f"{' '.join([WORDS[r % 5], *rng.choices(WORDS, k=r % 9)])}\tlabel-{r % 5}" for r in range(rows)
        ]
        (folder / f"{split}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "shape", [{}, {"student_ffn": "auto", "student_heads": 1}], ids=["whole", "narrowed"]
)
@pytest.mark.parametrize("kind", ENCODERS)
def test_encoder_goes_the_whole_way_and_int8_answers_as_pytorch(
    kind: str, shape: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    layers = {"n_layers" if kind == "distilbert" else "num_hidden_layers": 3}
    encoder = write_student(tmp_path / "encoder", tiny_classifier(kind, **layers))
    corpus = open_corpus(data)
    quick: dict[str, Any] = {"epochs": 4.0, "batch_size": 16, "max_length": 32, "learning_rate": 1e-3}
    teacher = finetune(str(encoder), corpus, tmp_path / "teacher", config=FinetuneConfig(**quick))
    config = DistillConfig(student_layers=2, **shape, **quick)
    student = distill(str(teacher.folder), corpus, tmp_path / "student", config=config)
    model = AutoModelForSequenceClassification.from_pretrained(student.folder).eval()
    assert getattr(model.config, "num_hidden_layers", None) == 2
    # Accuracy isn't what this is about: the tiny student knows little, and 60 texts tell it coarsely.
    exported = export(student.folder, tmp_path / "bundle", config=ExportConfig(max_drop=20.0), data=corpus)
    classifier = Classifier.load(exported.bundle.folder)
    texts = [example.text for example in corpus.read("test")]
    tokenizer = tiny_tokenizer()
    with torch.inference_mode():
        expected = np.stack(
            [
                model(**model_inputs(model, dict(tokenizer(text, return_tensors="pt"))))
                .logits[0]
                .softmax(0)
                .numpy()
                for text in texts
            ]
        )
    found = np.asarray(classifier.predict_proba(texts))
    assert np.abs(found - expected).max() <= PROBABILITY_BOUND
    assert exported.bundle.manifest.precision == "int8"
