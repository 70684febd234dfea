"""The model card: what labels and texts from outside can do to it."""

import json
import re

import pytest
import torch

from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, export
from tests.tiny import plant_outliers, tiny_classifier, tiny_texts, tiny_tokenizer, write_student

LABELS = ["<script>alert(1)</script>", "a | b", "[x](javascript:alert(1))", "`c`\n\n# heading", "**bold**"]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The card of a student with such labels, exported with examples whose label int8 changed."""
    folder = tmp_path_factory.mktemp("card")
    model = tiny_classifier("bert")
    plant_outliers(model, [0, 1])
    student = write_student(folder / "student", model)
    config = json.loads((student / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = dict(enumerate(LABELS))
    config["label2id"] = {label: i for i, label in enumerate(LABELS)}
    (student / "config.json").write_text(json.dumps(config), encoding="utf-8")
    texts = [f"{text} <img src=x onerror=alert(1)> | *b*" for text in tiny_texts(80)]
    tokenizer, rows = tiny_tokenizer(), []
    for text in texts:
        with torch.inference_mode():
            answer = model(**tokenizer(text, return_tensors="pt", truncation=True)).logits.argmax()
        rows.append(json.dumps({"text": text, "label": LABELS[int(answer)]}))
    (folder / "test.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    bundle = folder / "<b>bundle"
    export(student, bundle, data=open_corpus(folder), config=ExportConfig(publish_examples=True))
    return (bundle / "README.md").read_text(encoding="utf-8")


def test_markup_in_texts_labels_and_names_is_escaped(card: str) -> None:
    changed = card[card.index("## What int8 changed") : card.index("## Use")]
    assert "alert(1)" in changed
    assert r"\<img src=x onerror=alert(1)\> \| \*b\*" in changed
    assert not re.search(r"(?<!\\)<(?:script|img|b>)", card)
    assert not re.search(r"(?<!\\)\[x", card)
    assert "\n# heading" not in card


def test_tables_keep_their_columns(card: str) -> None:
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables[-10:]} == {5}
