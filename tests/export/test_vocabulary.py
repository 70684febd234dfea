"""A trimmed vocabulary: the same tokens and logits inside it, no [UNK] outside."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError
from mixkd.export import ExportConfig, export
from mixkd.export.config import Rows, VocabularyChoice
from mixkd.export.vocabulary import choose_vocabulary
from mixkd.runtime import Classifier
from mixkd.runtime.encoding import Encoder
from tests.tiny import WORDS, tiny_classifier, tiny_tokenizer

LETTERS = sorted({letter for word in WORDS for letter in word})
INSIDE, OUTSIDE = WORDS[:20], WORDS[20:]


def _student(folder: Path) -> Path:
    """Save a student that knows the words, every letter, and `##` letters."""
    model = tiny_classifier("bert")
    model.config.id2label = {i: f"label-{i}" for i in range(5)}
    model.save_pretrained(folder)
    tokenizer = tiny_tokenizer()
    body = json.loads(tokenizer.backend_tokenizer.to_str())
    pieces = [*body["model"]["vocab"], *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    # Special tokens in the middle, as in BERT's own vocabulary, so that all of them are renumbered.
    pieces = ["[PAD]", *OUTSIDE, "[UNK]", "[CLS]", "[SEP]", "[MASK]", *INSIDE, *pieces[5 + len(WORDS) :]]
    place = {piece: i for i, piece in enumerate(pieces)}
    body["model"]["vocab"] = place
    for token in body["added_tokens"]:
        token["id"] = place[token["content"]]
    body["post_processor"] = {
        "type": "BertProcessing",
        "sep": ["[SEP]", place["[SEP]"]],
        "cls": ["[CLS]", place["[CLS]"]],
    }
    whole = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(body)), **tokenizer.special_tokens_map
    )
    whole.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same student exported with the whole vocabulary, and with that of a few words."""
    folder = tmp_path_factory.mktemp("vocabulary")
    student = _student(folder / "student")
    data = folder / "data"
    data.mkdir()
    (data / "train.tsv").write_text("text\tlabel\n" + "\n".join(f"{word}\tlabel-0" for word in INSIDE) + "\n")
    (data / "test.tsv").write_text(
        f"text\tlabel\n{INSIDE[0]} {INSIDE[1]}\tlabel-0\n{OUTSIDE[0]} {INSIDE[2]}\tlabel-1\n"
    )
    for vocabulary in ("full", "trim", "share"):
        config = ExportConfig(int8=False, vocabulary=VocabularyChoice.parse(vocabulary))
        export(student, folder / vocabulary, config=config, data=open_corpus(data))
    return folder / "full", folder / "trim"


def _pieces(bundle: Path, text: str) -> list[str]:
    return list(Tokenizer.from_file(str(bundle / "tokenizer.json")).encode(text).tokens)


def test_text_inside_gets_the_same_tokens_and_answers(bundles: tuple[Path, Path]) -> None:
    whole, trimmed = bundles
    classifiers = [Classifier.load(bundle) for bundle in bundles]
    for start in range(0, 20, 3):
        text = " ".join(INSIDE[start : start + 4])
        assert _pieces(whole, text) == _pieces(trimmed, text)
        first, second = (classifier.predict_proba([text]) for classifier in classifiers)
        np.testing.assert_array_equal(first, second)


def test_words_outside_fall_back_to_letters(bundles: tuple[Path, Path]) -> None:
    whole, trimmed = bundles
    word = OUTSIDE[3]
    assert _pieces(whole, word) == ["[CLS]", word, "[SEP]"]
    assert _pieces(trimmed, word) == ["[CLS]", word[0], *(f"##{letter}" for letter in word[1:]), "[SEP]"]


def test_trimmed_bundle_loads_in_transformers(bundles: tuple[Path, Path]) -> None:
    _, trimmed = bundles
    tokenizer = AutoTokenizer.from_pretrained(trimmed)
    config = json.loads((trimmed / "config.json").read_text())
    assert len(tokenizer) == config["vocab_size"] == 5 + len(INSIDE) + 2 * len(LETTERS)
    text = f"{INSIDE[4]} {OUTSIDE[1]}"
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == _pieces(trimmed, text)
    encoder = Encoder.from_folder(trimmed, max_length=48, inputs=["input_ids"])
    assert list(encoder.encode([text])[0].ids) == tokenizer(text)["input_ids"]


def test_loss_on_words_outside_is_reported(bundles: tuple[Path, Path]) -> None:
    _, trimmed = bundles
    report = json.loads((trimmed / "export.json").read_text())["vocabulary"]
    assert report["texts"] == 1
    assert report["kept"] < report["size"]
    rows = f"{report['kept']} of {report['size']}"
    before, after = (f"{100 * report[name]:.2f} %" for name in ("student", "bundle"))
    sentence = f"on the 1 measured texts with other pieces: {before} before, {after} after"
    card = (trimmed / "README.md").read_text()
    assert rows in card
    assert sentence in card
    assert {report["student"], report["bundle"]} <= {0.0, 1.0}


def test_shared_rows_leave_every_text_cut_as_before(bundles: tuple[Path, Path]) -> None:
    whole, trimmed = bundles
    shared = whole.with_name("share")
    rows = json.loads((shared / "config.json").read_text())["vocab_size"]
    assert rows == json.loads((trimmed / "config.json").read_text())["vocab_size"]
    text = f"{INSIDE[4]} {OUTSIDE[1]} {INSIDE[7]}"
    old, new = (
        Tokenizer.from_file(str(bundle / "tokenizer.json")).encode(text) for bundle in (whole, shared)
    )
    assert old.offsets == new.offsets
    assert max(new.ids) < rows
    inside = f"{INSIDE[4]} {INSIDE[9]}"
    first, second = (Classifier.load(bundle).predict_proba([inside]) for bundle in (whole, shared))
    np.testing.assert_array_equal(first, second)


def test_shared_row_is_that_of_the_nearest_piece(bundles: tuple[Path, Path]) -> None:
    # A word outside becomes nearly the double of a word inside: their texts get one answer from then on.
    folder = bundles[0].parent
    model = AutoModelForSequenceClassification.from_pretrained(folder / "student")
    tokenizer = AutoTokenizer.from_pretrained(folder / "student")
    near, far = (tokenizer.get_vocab()[piece] for piece in (INSIDE[6], OUTSIDE[2]))
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table[far] = 1.1 * table[near]
    vocabulary = choose_vocabulary(folder / "student" / "tokenizer.json", INSIDE, others=0)
    shared = vocabulary.share_rows(model)
    assert shared.neighbours[far] == near
    assert len(shared.neighbours) == len(OUTSIDE)
    assert not set(shared.neighbours.values()) & set(tokenizer.all_special_ids)


def test_frequent_others_are_the_first_of_the_vocabulary(tmp_path: Path) -> None:
    file = _student(tmp_path / "student") / "tokenizer.json"
    few = choose_vocabulary(file, INSIDE[:3], others=0)
    more = choose_vocabulary(file, INSIDE[:3], others=2)
    assert set(more.kept) - set(few.kept) == {1, 2}


@pytest.mark.parametrize("text", ["small", "full:3", "full:", "trim:x", "trim:-1", "trim:", ""])
def test_unknown_vocabulary_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--vocabulary must be full, trim, trim:N, share or share:N, not "):
        VocabularyChoice.parse(text)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("full", VocabularyChoice()),
        ("trim", VocabularyChoice(Rows.TRIM)),
        ("share:20", VocabularyChoice(Rows.SHARE, 20)),
    ],
)
def test_vocabulary_is_read_as_it_is_written(text: str, choice: VocabularyChoice) -> None:
    assert VocabularyChoice.parse(text) == choice
    assert str(choice) == text
