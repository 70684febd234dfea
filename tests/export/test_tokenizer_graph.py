"""The refusals of `--with-tokenizer`, and ids where rows are shared; tests/examples asks a real student."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime_extensions import get_library_path

from mixkd.errors import ConfigError
from mixkd.export.graph.tokenizer_graph import add_tokenizer, check_tokenizer
from mixkd.runtime.manifest import Manifest, Precision
from mixkd.task import Task
from tests.tiny import WORDS, tiny_tokenizer

ROOM = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_tokenizer().backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def echo_of_ids() -> onnx.ModelProto:
    """Return a graph whose answers are its own ids, as floats: ArgMax tells where the largest one stands."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "T"])
    answers = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, "C"])
    cast = helper.make_node("Cast", ["input_ids"], ["probabilities"], to=TensorProto.FLOAT)
    graph = helper.make_graph([cast], "echo", [ids], [answers])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def ids_of(model: onnx.ModelProto, text: str) -> list[int]:
    model.graph.output.append(helper.make_tensor_value_info("text_ids", TensorProto.INT64, ["T"]))
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(get_library_path())
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[int] = session.run(["text_ids"], {"text": np.array([text], object)})[0].tolist()
    return found


def manifest() -> Manifest:
    return Manifest(
        task=Task.SINGLE_LABEL,
        labels=tuple(f"label-{i}" for i in range(ROOM)),
        max_length=ROOM,
        inputs=("input_ids",),
        model_file="onnx/model.onnx",
        precision=Precision.FP32,
        recipe="none",
    )


def test_text_graph_cuts_to_the_length_and_keeps_the_last_token(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    expected = tiny_tokenizer()(" ".join(WORDS[:9]), truncation=True, max_length=ROOM)["input_ids"]
    assert ids_of(add_tokenizer(echo_of_ids(), tokenizer, manifest()), " ".join(WORDS[:9])) == expected


def test_text_graph_gives_pieces_that_share_a_row_the_same_id(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary[WORDS[1]] = vocabulary[WORDS[7]]
    model = add_tokenizer(echo_of_ids(), tokenizer, manifest())
    ids = [vocabulary[name] for name in ("[CLS]", WORDS[0], WORDS[7], WORDS[7], "[SEP]")]
    assert ids_of(model, f"{WORDS[0]} {WORDS[1]} {WORDS[7]}") == ids


def _without_normalizer(body: dict[str, Any]) -> None:
    body["normalizer"] = None


def _with_byte_pairs(body: dict[str, Any]) -> None:
    body["model"] = {"type": "BPE", "vocab": {}, "merges": []}


@pytest.mark.parametrize("change", [_without_normalizer, _with_byte_pairs])
def test_check_tokenizer_refuses_another_tokenizer(folder: Path, change: Any) -> None:
    path = folder / "tokenizer.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    change(body)
    path.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(ConfigError, match="BERT's WordPiece"):
        check_tokenizer(folder, Task.SINGLE_LABEL)


@pytest.mark.parametrize("task", [Task.MULTI_LABEL, Task.REGRESSION])
def test_check_tokenizer_refuses_a_task_without_one_label(folder: Path, task: Task) -> None:
    with pytest.raises(ConfigError, match="one label"):
        check_tokenizer(folder, task)
