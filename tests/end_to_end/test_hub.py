"""A student and its bundle go to a hub and come back, by the programs that their users run."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mixkd.export import ExportConfig, export
from mixkd.runtime import Classifier
from tests.loopback_hub import Hub, running_hub
from tests.runtime.hub_client import Client
from tests.tiny import tiny_classifier, tiny_texts, tiny_tokenizer, write_answers, write_student

pytestmark = pytest.mark.slow

TEXTS = tiny_texts(20)
SEND = """
import sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, name = sys.argv[1:]
AutoModelForSequenceClassification.from_pretrained(folder).push_to_hub(name)
AutoTokenizer.from_pretrained(folder).push_to_hub(name)
print(1)
"""
PIPELINE = """
import json, sys
from transformers import pipeline
name, texts = sys.argv[1], json.loads(sys.argv[2])
print(json.dumps(pipeline("text-classification", name)(texts, top_k=1, batch_size=1)))
"""
FROM_HUB = """
import json, sys
from mixkd.runtime import Classifier
print(json.dumps(Classifier.from_hub(sys.argv[1]).predict_proba(json.loads(sys.argv[2])).tolist()))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student, texts on which it is right, and its bundle."""
    folder, model = tmp_path_factory.mktemp("hub"), tiny_classifier("bert")
    write_student(folder / "student", model)
    write_answers(folder / "data", model, TEXTS)
    config = ExportConfig(keep_fp32=True, license="mit", language=("en",))
    export(folder / "student", folder / "bundle", data=folder / "data", config=config)
    return folder


def test_a_student_goes_to_the_hub_and_back_as_any_model_of_transformers(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    writer, reader = Client(tmp_path / "a", hub.url), Client(tmp_path / "b", hub.url, token=None)
    writer.python(SEND, folder / "student", "org/student")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(hub.head("org/student"))
    found = reader.python(PIPELINE, "org/student", json.dumps(TEXTS))
    model, tokenizer = tiny_classifier("bert"), tiny_tokenizer()
    for text, (best,) in zip(TEXTS, found, strict=True):
        with torch.inference_mode():
            scores = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
        assert best["label"] == f"label-{int(scores.argmax())}"
        assert best["score"] == pytest.approx(float(scores.max()), abs=1e-5)


def test_a_student_on_the_hub_is_exported_by_its_name_and_named_in_the_card(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    writer = Client(tmp_path / "home", hub.url)
    writer.python(SEND, folder / "student", "org/named")
    done = writer.mkd("export", "org/named", "--output", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    assert "\nbase_model: org/named\n" in (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")


def test_an_exported_bundle_goes_to_the_hub_and_back_with_its_card(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    writer, reader = Client(tmp_path / "a", hub.url), Client(tmp_path / "b", hub.url, token=None)
    done = writer.mkd("push", folder / "bundle", "org/bundle")
    assert done.returncode == 0, done.stderr
    assert b"\nlicense: mit\n" in hub.head("org/bundle")["README.md"]
    found = reader.python(FROM_HUB, "org/bundle", json.dumps(TEXTS))
    assert np.array_equal(np.float32(found), Classifier.load(folder / "bundle").predict_proba([*TEXTS]))
