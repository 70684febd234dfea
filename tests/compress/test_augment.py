"""Back-translation with tiny random Marian models, and the trainings that use what it wrote."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
import typer
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from mixkd.cli import app
from mixkd.compress import augment, distill
from mixkd.compress.config import DistillConfig
from mixkd.compress.translation import AugmentConfig
from mixkd.corpus.corpus import Columns, open_corpus
from mixkd.errors import ConfigError, DataError, ModelError, OutputError
from tests.tiny import WORDS


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A forward and a backward model; what they say is nonsense, but it is their own nonsense."""
    folder = tmp_path_factory.mktemp("marian")
    (folder / "corpus.txt").write_text("\n".join(" ".join(WORDS[i::7]) for i in range(7)), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"), model_prefix=str(folder / "pieces"), vocab_size=30, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    vocabulary = {"</s>": 0, "<unk>": 1}
    for number in range(pieces.get_piece_size()):
        vocabulary.setdefault(pieces.id_to_piece(number), len(vocabulary))
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return tuple(_marian(folder, vocabulary, seed) for seed in (1, 2))  # type: ignore[return-value]  # two


def _marian(parts: Path, vocabulary: dict[str, int], seed: int) -> Path:
    torch.manual_seed(seed)
    pad = vocabulary["<pad>"]
    config = MarianConfig(
        vocab_size=len(vocabulary),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=0,
        init_std=1.0,
    )
    folder = parts / f"model-{seed}"
    MarianMTModel(config).save_pretrained(folder)
    pieces = str(parts / "pieces.model")
    MarianTokenizer(pieces, pieces, str(parts / "vocab.json"), model_max_length=64).save_pretrained(folder)
    return folder


def config_for(models: tuple[Path, Path], **changes: Any) -> AugmentConfig:
    forward, backward = models
    given = {"batch_size": 4, "max_length": 8, **changes}
    return AugmentConfig(forward=str(forward), backward=str(backward), **given)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_augment_writes_what_the_two_models_say_beside_the_texts_labels(
    models: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    found = augment(open_corpus(data), tmp_path / "more.jsonl", config=config_for(models))
    rows = rows_of(tmp_path / "more.jsonl")
    assert (found.translated, found.written) == (60, len(rows))
    examples = list(open_corpus(data).read("train"))
    expected = []
    for start in range(0, 60, 4):
        texts = [example.text for example in examples[start : start + 4]]
        for folder in models:
            model, tokenizer = MarianMTModel.from_pretrained(folder), MarianTokenizer.from_pretrained(folder)
            inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=8)
            out = model.generate(**inputs, max_new_tokens=8, num_beams=1, do_sample=False)
            texts = [text.strip() for text in tokenizer.batch_decode(out, skip_special_tokens=True)]
        expected += texts
    labels = [example.label for example in examples]
    assert rows == [{"text": t, "label": y} for t, y in zip(expected, labels, strict=True) if t]
    assert len(rows) > 30
    assert [path.name for path in tmp_path.iterdir()] == ["more.jsonl"]


def test_augment_translates_the_texts_that_the_same_selection_trains_on(
    models: tuple[Path, Path], data: Path, teacher: Path, tmp_path: Path
) -> None:
    # Without a validation file a tenth is held out: no paraphrase of it may be trained on.
    train = data / "train.tsv"
    found = augment(
        open_corpus(train), tmp_path / "more.tsv", config=config_for(models, train_per_class=3, seed=5)
    )
    assert found.translated == 15
    student = DistillConfig(train_per_class=3, seed=5, epochs=1, max_length=32, student_layers=1)
    corpus = open_corpus(train, augmented=[tmp_path / "more.tsv"])
    distill(str(teacher), corpus, tmp_path / "student", config=student)
    record = json.loads((tmp_path / "student" / "run.json").read_text(encoding="utf-8"))
    used = {name: split["rows"] for name, split in record["data"]["splits"].items()}
    assert used == {"train": 15, "augmented-1": found.written}


def test_command_prints_json_when_asked(
    models: tuple[Path, Path], data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config, output = config_for(models), tmp_path / "more.jsonl"
    words = [
        "augment",
        "--data",
        str(data),
        "--output",
        str(output),
        "--train-limit",
        "6",
        "--max-length",
        "8",
    ]
    words += ["--forward", config.forward, "--backward", config.backward, "--json"]
    typer.main.get_command(app).main(words, standalone_mode=False)
    found = json.loads(capfd.readouterr().out)
    assert found["file"] == str(output)
    assert found["translated"] == 6


@pytest.mark.parametrize("how", [{}, {"overwrite": True}, {"resume": True}])
def test_work_file_that_is_not_its_own_is_left_alone(
    models: tuple[Path, Path], data: Path, tmp_path: Path, how: dict[str, bool]
) -> None:
    output, partial = tmp_path / "more.jsonl", tmp_path / "more.jsonl.partial"
    (tmp_path / "thesis.doc").write_text("mine")
    partial.symlink_to(tmp_path / "thesis.doc")
    with pytest.raises(OutputError, match="was not made by mkd"):
        augment(open_corpus(data), output, config=config_for(models), **how)  # type: ignore[arg-type]  # flags
    partial.unlink()
    for mine in ("mine", '{"text": "mine"}\n', ""):
        partial.write_text(mine)
        with pytest.raises(OutputError, match="was not made by mkd"):
            augment(open_corpus(data), output, config=config_for(models), **how)  # type: ignore[arg-type]
        assert partial.read_text() == mine
    assert (tmp_path / "thesis.doc").read_text() == "mine"


def test_killed_augment_goes_on_to_the_same_file(
    models: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    config = config_for(models, temperature=0.9, batch_size=2, seed=3)
    augment(open_corpus(data), tmp_path / "whole.jsonl", config=config)
    words = ["augment", "--data", str(data), "--output", str(tmp_path / "killed.jsonl")]
    words += ["--forward", config.forward, "--backward", config.backward, "--temperature", "0.9"]
    words += ["--batch-size", "2", "--max-length", "8", "--seed", "3"]
    process = subprocess.Popen([sys.executable, "-c", "from mixkd.cli import main; main()", *words])
    partial = tmp_path / "killed.jsonl.partial"
    while process.poll() is None and not (partial.is_file() and partial.read_bytes().count(b"\n") > 6):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert partial.is_file(), "it was done before the kill"
    with partial.open("ab") as file:
        file.write(b'{"text": "half a li')  # as a kill in the middle of a write leaves it
    with pytest.raises(OutputError, match="--resume continues it"):
        augment(open_corpus(data), tmp_path / "killed.jsonl", config=config)
    other = config_for(models, temperature=0.5, batch_size=2, seed=3)
    with pytest.raises(ConfigError, match="other options or data"):
        augment(open_corpus(data), tmp_path / "killed.jsonl", config=other, resume=True)
    augment(open_corpus(data), tmp_path / "killed.jsonl", config=config, resume=True)
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not partial.exists()


def test_augment_keeps_pairs_and_column_names(models: tuple[Path, Path], tmp_path: Path) -> None:
    lines = [f"{WORDS[i]} {WORDS[i + 1]}\t{WORDS[-i]}\tyes" for i in range(1, 9)]
    (tmp_path / "train.tsv").write_text("\n".join(["text\ttext2\tkind", *lines]) + "\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text("\n".join(["text\ttext2\tkind", *lines]) + "\n", encoding="utf-8")
    corpus = open_corpus(tmp_path, Columns(label="kind"))
    augment(corpus, tmp_path / "more.csv", config=config_for(models))
    read = list(open_corpus(tmp_path / "more.csv", Columns(label="kind")).read("train"))
    assert read
    assert all(example.text2 is not None and example.label == "yes" for example in read)


def test_augment_refuses_before_it_translates(models: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="already exists"):
        augment(open_corpus(data), tmp_path / "there.jsonl", config=config_for(models))
    with pytest.raises(OutputError, match="no known format"):
        augment(open_corpus(data), tmp_path / "more.txt", config=config_for(models))
    gone = AugmentConfig(forward=str(models[0]), backward=str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"no model folder at .*gone"):
        augment(open_corpus(data), tmp_path / "more.jsonl", config=gone)
    (tmp_path / "many.jsonl").write_text('{"text": "ba", "label": ["a", "b"]}\n' * 20, encoding="utf-8")
    with pytest.raises(DataError, match=r"name a \.jsonl file"):
        augment(open_corpus(tmp_path / "many.jsonl"), tmp_path / "more.tsv", config=config_for(models))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.jsonl", "there.jsonl"]
    assert (tmp_path / "there.jsonl").read_text(encoding="utf-8") == "mine"
