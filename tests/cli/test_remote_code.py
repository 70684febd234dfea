"""Python code in a model's folder is never run, and nobody is asked whether it may."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import MarianConfig, MarianMTModel

from tests.cli.conftest import Mkd
from tests.tiny import WORDS, tiny_classifier, tiny_tokenizer, write_student

EVIL = """
import pathlib
pathlib.Path({mark!r}).touch()
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, MarianMTModel
class Config(BertConfig): model_type = "evil"
class Model(BertForSequenceClassification): config_class = Config
class Translator(MarianMTModel): config_class = Config
class Tokenizer(PreTrainedTokenizerFast): pass
"""
CONFIG = {
    "AutoConfig": "evil.Config",
    "AutoModelForSequenceClassification": "evil.Model",
    "AutoModelForSeq2SeqLM": "evil.Translator",
}
PLANTS = {
    "unknown architecture": ("config.json", {"model_type": "evil", "auto_map": CONFIG}),
    "known architecture": ("config.json", {"auto_map": CONFIG}),
    "tokenizer": (
        "tokenizer_config.json",
        {"tokenizer_class": "Tokenizer", "auto_map": {"AutoTokenizer": [None, "evil.Tokenizer"]}},
    ),
}


@pytest.fixture(params=PLANTS)
def evil(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Return a classifier and a translation model whose code would leave the file `mark`."""
    file, planted = PLANTS[request.param]
    classifier = write_student(tmp_path / "classifier", tiny_classifier("bert"))
    translator = tmp_path / "translator"
    layer = {"layers": 1, "ffn_dim": 16, "attention_heads": 2}
    sizes: dict[str, Any] = {
        f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in layer.items()
    }
    sizes |= {"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 3, "forced_eos_token_id": 3}
    MarianMTModel(MarianConfig(vocab_size=120, d_model=16, **sizes)).save_pretrained(translator)
    tiny_tokenizer().save_pretrained(translator)
    for folder in (classifier, translator):
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        (folder / file).write_text(json.dumps(content | planted), encoding="utf-8")
        (folder / "evil.py").write_text(EVIL.format(mark=str(tmp_path / "mark")), encoding="utf-8")
    return classifier, translator


@pytest.mark.parametrize(
    "command", ["check", "finetune", "distill", "distill --student", "augment", "export"]
)
def test_code_in_a_model_folder_is_refused_in_one_line(
    mkd: Mkd, evil: tuple[Path, Path], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, translator = evil
    rows = [f"{WORDS[i % 5]}\tlabel-{i % 5}" for i in range(20)]
    (tmp_path / "texts.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    output = tmp_path / ("out.tsv" if command == "augment" else "out")
    honest = write_student(tmp_path / "honest", tiny_classifier("bert"))
    words: dict[str, tuple[object, ...]] = {
        "check": ("--teacher", classifier),
        "finetune": ("--model", classifier, "--output", output),
        "distill": ("--teacher", classifier, "--output", output),
        "distill --student": ("--teacher", honest, "--student", classifier, "--output", output),
        "export": (classifier, "--output", output),
        "augment": ("--forward", translator, "--backward", translator, "--output", output),
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 10))
    ran = mkd(command.split(maxsplit=1)[0], "--data", tmp_path / "texts.tsv", *words[command])
    assert not (tmp_path / "mark").exists(), "its code was run"
    assert ran.code == 1, ran
    (line,) = ran.err.splitlines()
    folder = translator if command == "augment" else classifier
    assert line.startswith(f"mkd: {folder}")
    assert "Python code" in line
    assert "y/N" not in ran.out
    assert not [path for path in tmp_path.iterdir() if path.name.strip(".").startswith("out")]
