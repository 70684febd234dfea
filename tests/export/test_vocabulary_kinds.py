"""Bundles with fewer pieces of Unigram and BPE: the same answers on kept text, in every runtime's files."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, export
from mixkd.export.config import TableFormat, VocabularyChoice
from mixkd.export.vocabulary import fixed_ids
from mixkd.runtime import Classifier
from tests.export.scripts import KINDS, OTHER, TRAINING, write_scripts_student
from tests.tiny import tiny_classifier


def make(folder: Path, name: str, *, int8: bool = False, tables: TableFormat = TableFormat.INT8) -> Path:
    """Export the student with a vocabulary."""
    config = ExportConfig(vocabulary=VocabularyChoice.parse(name), int8=int8, embeddings=tables)
    output = folder / f"{name}-{int8}-{tables}"
    if output.is_dir():
        return output
    export(folder / "student", output, config=config, data=open_corpus(folder / "data"))
    return output


@pytest.fixture(scope="module", params=KINDS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write_scripts_student(folder, request.param)
    return folder


def _ids(bundle: Path, text: str) -> list[int]:
    return list(Tokenizer.from_file(str(bundle / "tokenizer.json")).encode(text).ids)


@pytest.mark.parametrize("int8", [False, True])
def test_kept_text_gets_the_same_logits(exported: Path, int8: bool) -> None:
    whole, trimmed = (make(exported, name, int8=int8) for name in ("full", "trim"))
    first, second = (Classifier.load(bundle) for bundle in (whole, trimmed))
    for text in TRAINING:
        np.testing.assert_array_equal(first.predict_proba([text]), second.predict_proba([text]))
    assert first.predict_proba(OTHER).shape == second.predict_proba(OTHER).shape
    config = json.loads((trimmed / "config.json").read_text())
    assert config["vocab_size"] == len(AutoTokenizer.from_pretrained(trimmed))
    report = json.loads((trimmed / "export.json").read_text())
    assert report["rewrites"]["exact"]
    assert report["vocabulary"]["kept"] == config["vocab_size"] < report["vocabulary"]["size"]
    assert report["vocabulary"]["texts"] > 0


@pytest.mark.parametrize("tables", [TableFormat.INT8, TableFormat.INT4])
def test_shared_rows_leave_every_text_cut_as_before(exported: Path, tables: TableFormat) -> None:
    whole, shared = (make(exported, name, int8=True, tables=tables) for name in ("full", "share"))
    for text in (*TRAINING, *OTHER):
        before, after = _ids(whole, text), _ids(shared, text)
        assert len(before) == len(after)
    first, second = (Classifier.load(bundle) for bundle in (whole, shared))
    for text in TRAINING:
        np.testing.assert_array_equal(first.predict_proba([text]), second.predict_proba([text]))
    assert np.abs(first.predict_proba(OTHER) - second.predict_proba(OTHER)).max() > 0
    sizes = [json.loads((bundle / "export.json").read_text())["sizes"] for bundle in (whole, shared)]
    assert sizes[1]["embeddings_bytes"] < sizes[0]["embeddings_bytes"]


def test_transformers_reads_what_the_runtime_reads(exported: Path) -> None:
    trimmed = make(exported, "trim:20")
    tokenizer = AutoTokenizer.from_pretrained(trimmed)
    for text in (*TRAINING, *OTHER):
        assert tokenizer(text)["input_ids"] == _ids(trimmed, text)
    special = {tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id}
    assert len(special) == 3
    assert json.loads((trimmed / "config.json").read_text())["pad_token_id"] == tokenizer.pad_token_id


@pytest.mark.parametrize(("kind", "ids"), [("bert", 0), ("roberta", 4), ("mpnet", 2), ("modernbert", 0)])
def test_pieces_before_the_padding_stay_where_positions_are_counted_from_it(kind: str, ids: int) -> None:
    assert fixed_ids(tiny_classifier(kind, pad_token_id=3)) == ids
