"""What is loaded from a folder, and what is refused."""

import ast
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mixkd.compress.checkpoints import (
    load_classifier,
    load_tokenizer,
    load_translator,
    load_with_new_head,
    most_tokens,
)
from mixkd.errors import ModelError
from mixkd.labels import LabelSpace
from mixkd.task import Task
from tests.tiny import ENCODERS, tiny_classifier, tiny_tokenizer, write_student

ROOT = Path(__file__).parents[2]
LABELS = LabelSpace(Task.SINGLE_LABEL, ("a", "b"))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])  # the second has no other than eager
def test_attention_is_the_one_asked_for_where_there_is_one(kind: str, attention: str, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "model", tiny_classifier(kind))
    model = load_classifier(folder, attention=attention)  # type: ignore[arg-type]  # one of the two
    assert model.config._attn_implementation == (attention if kind == "bert" else "eager")
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ENCODERS)
def test_model_takes_as_many_tokens_as_it_is_said_to(kind: str) -> None:
    model, tokenizer = tiny_classifier(kind), tiny_tokenizer()
    longest = most_tokens(model)
    expected = {"roberta": 48 - 2, "xlm-roberta": 48 - 2, "mpnet": 48 - 2}  # after the padding index, 1
    assert longest == expected.get(kind, 48)
    model(input_ids=torch.full((1, longest), 9), attention_mask=torch.ones(1, longest, dtype=torch.long))
    tokenizer.model_max_length = 20
    assert most_tokens(model, tokenizer) == 20


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_model_with_a_weight_that_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "model", tiny_classifier("bert"))
    weights = load_file(folder / "model.safetensors")
    weights["bert.encoder.layer.1.output.dense.weight"][3, 5] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    for load in (load_classifier, lambda folder: load_with_new_head(folder, LABELS)):
        with pytest.raises(ModelError, match=r"NaN or infinite weights \(bert.encoder.layer.1.output.dense"):
            load(folder)


def test_damaged_files_are_one_line_errors(tmp_path: Path) -> None:
    folder = write_student(tmp_path / "model", tiny_classifier("bert"))
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="can't be loaded as a tokenizer: ") as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value)
    (folder / "config.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ModelError, match="can't be loaded as a classifier: "):
        load_classifier(folder)


@pytest.mark.parametrize("load", [load_classifier, load_tokenizer, load_translator])
def test_transformers_runs_no_code_where_our_own_look_finds_none(
    load: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mark = write_student(tmp_path / "model", tiny_classifier("bert")), tmp_path / "mark"
    (folder / "evil.py").write_text(
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n", encoding="utf-8"
    )
    kinds = ("AutoConfig", "AutoModelForSequenceClassification", "AutoModelForSeq2SeqLM")
    plants: dict[str, dict[str, object]] = {
        "config.json": dict.fromkeys(kinds, "evil.X"),
        "tokenizer_config.json": {"AutoTokenizer": [None, "evil.X"]},
    }
    for name, auto_map in plants.items():
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        unknown = {"model_type": "evil"} if name == "config.json" else {"tokenizer_class": "Evil"}
        (folder / name).write_text(json.dumps({**content, **unknown, "auto_map": auto_map}), encoding="utf-8")
    monkeypatch.setattr("mixkd.compress.checkpoints._names_code", lambda file: False)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 10))
    with pytest.raises(ModelError, match="can't be loaded as a"):
        load(folder)
    assert not mark.exists(), "its code was run"


def test_every_load_forbids_code_of_the_folder() -> None:
    loads = {"from_pretrained", "from_config", "load_dataset"}
    found = 0
    for stage in ("runtime", "compress", "export"):
        for path in sorted((ROOT / stage).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if node.func.attr not in loads or ast.unparse(node.func).startswith("torch.nn.Embedding"):
                    continue
                found += 1
                said = [ast.unparse(keyword) for keyword in node.keywords]
                assert {"**_SAFE", "trust_remote_code=False"} & set(said), f"{path}:{node.lineno}"
    assert found > 5
