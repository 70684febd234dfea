"""Text to label in one ONNX file: the tokenizer as nodes of onnxruntime-extensions, then the bundle's graph.

::

    text ─ StringRegexReplace ─ BertTokenizer ─ truncation ─ the graph ─┬─ ArgMax, names ─ label
                                                                       └─ probability ── score

One text per call, and no threshold: the label is always the most probable one. Before opening the file,
register the library of the extensions with the session:

>>> options.register_custom_ops_library(onnxruntime_extensions.get_library_path())

The ids are those of the tokenizers package, with these exceptions: BertTokenizer doesn't lower-case letters
or remove accents beyond Latin-1, and it treats Hangul, control characters and special tokens in the text
differently.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mixkd.errors import ConfigError
from mixkd.runtime.manifest import PROBABILITIES, TEXT_GRAPH_FILE, TOKENIZER_FILE, Manifest
from mixkd.task import Task

_EXTENSIONS = "ai.onnx.contrib"
_PUNCTUATION = r"(\p{P})"
"""BertTokenizer splits words at ASCII punctuation only, so other punctuation is put between spaces."""


def check_tokenizer(folder: Path, task: Task) -> None:
    """Refuse early what `add_tokenizer` can't put into a graph.

    Raises:
        ConfigError: If the task isn't single-label, or the tokenizer isn't BERT's WordPiece.
    """
    if task is not Task.SINGLE_LABEL:
        raise ConfigError(f"--with-tokenizer gives one label, and the student is {task}: leave it out")
    body = _read_tokenizer(folder)
    kinds = tuple((body[part] or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model"))
    if kinds != ("BertNormalizer", "BertPreTokenizer", "WordPiece"):
        raise ConfigError(f"--with-tokenizer needs BERT's WordPiece tokenizer, not {kinds[-1]}: leave it out")


def write_text_graph(folder: Path, graph: ModelProto, manifest: Manifest) -> None:
    """Write the text graph into the folder of a bundle that is being made.

    Args:
        folder: With the tokenizer in it.
        graph: The graph that answers.
        manifest: Labels and length.
    """
    onnx.save(add_tokenizer(graph, _read_tokenizer(folder), manifest), folder / TEXT_GRAPH_FILE)


def add_tokenizer(graph: ModelProto, tokenizer: dict[str, Any], manifest: Manifest) -> ModelProto:
    """Return the model with a text as input, a label and its score as outputs, each of shape (1,)."""
    model = ModelProto()
    model.CopyFrom(graph)
    inputs = [value.name for value in model.graph.input]
    front = _tokenizer_nodes(model, tokenizer, manifest.max_length) + _input_nodes(model, inputs)
    back = _label_nodes(model, manifest.labels)
    nodes = [*front, *model.graph.node, *back]
    del model.graph.node[:], model.graph.input[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(helper.make_tensor_value_info("text", TensorProto.STRING, [1]))
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.STRING, [1]))
    model.graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]))
    model.opset_import.append(helper.make_opsetid(_EXTENSIONS, 1))
    return model


def _tokenizer_nodes(model: ModelProto, tokenizer: dict[str, Any], max_length: int) -> list[NodeProto]:
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    normalizer = tokenizer["normalizer"]
    lowercase = bool(normalizer["lowercase"])
    strip = lowercase if normalizer["strip_accents"] is None else bool(normalizer["strip_accents"])
    _tokenizer_constants(model, vocabulary, pieces, max_length)
    tokenize = helper.make_node(
        "BertTokenizer",
        ["text_parted"],
        ["text_lines", "text_types", "text_mask", "text_offsets"],
        domain=_EXTENSIONS,
        vocab_file="\n".join(pieces),
        do_lower_case=int(lowercase),
        strip_accents=int(strip),
        tokenize_chinese_chars=int(normalizer["handle_chinese_chars"]),
        unk_token=tokenizer["model"]["unk_token"],
        suffix_indicator=tokenizer["model"]["continuing_subword_prefix"],
    )
    part = helper.make_node(
        "StringRegexReplace",
        ["text", "text_pattern", "text_rewrite"],
        ["text_parted"],
        domain=_EXTENSIONS,
        global_replace=1,
    )
    return [
        part,
        tokenize,
        helper.make_node("Gather", ["text_rows", "text_lines"], ["text_all"]),
        # Truncation: as many tokens as fit, then the last one, [SEP].
        helper.make_node("Slice", ["text_all", "text_first", "text_last"], ["text_open"]),
        helper.make_node("Slice", ["text_open", "text_first", "text_room"], ["text_cut"]),
        helper.make_node("Slice", ["text_all", "text_last", "text_end"], ["text_sep"]),
        helper.make_node("Concat", ["text_cut", "text_sep"], ["text_ids"], axis=0),
    ]


def _tokenizer_constants(
    model: ModelProto, vocabulary: dict[str, int], pieces: list[str], max_length: int
) -> None:
    _constant(model, "text_pattern", np.array([_PUNCTUATION], object))
    _constant(model, "text_rewrite", np.array([r" \1 "], object))
    # BertTokenizer returns line numbers of its vocabulary; this table maps them to ids. Pieces that share an
    # embedding row have the same id.
    _constant(model, "text_rows", np.array([vocabulary[piece] for piece in pieces], np.int64))
    _constant(model, "text_first", np.array([0], np.int64))
    _constant(model, "text_last", np.array([-1], np.int64))
    _constant(model, "text_room", np.array([max_length - 1], np.int64))
    _constant(model, "text_end", np.array([np.iinfo(np.int64).max], np.int64))


def _input_nodes(model: ModelProto, inputs: list[str]) -> list[NodeProto]:
    nodes = [helper.make_node("Unsqueeze", ["text_ids", "text_first"], ["input_ids"])]
    if inputs != ["input_ids"]:
        nodes.append(helper.make_node("Shape", ["input_ids"], ["text_shape"]))
    for name, value in (("attention_mask", 1), ("token_type_ids", 0)):
        if name in inputs:
            filled = numpy_helper.from_array(np.array([value], np.int64))
            nodes.append(helper.make_node("ConstantOfShape", ["text_shape"], [name], value=filled))
    return nodes


def _label_nodes(model: ModelProto, labels: tuple[str, ...]) -> list[NodeProto]:
    _constant(model, "text_labels", np.array(labels, object))
    return [
        helper.make_node("ArgMax", [PROBABILITIES], ["text_best"], axis=1, keepdims=1),
        helper.make_node("GatherElements", [PROBABILITIES, "text_best"], ["text_score"], axis=1),
        helper.make_node("Squeeze", ["text_score", "text_first"], ["score"]),
        helper.make_node("Squeeze", ["text_best", "text_first"], ["text_index"]),
        helper.make_node("Gather", ["text_labels", "text_index"], ["label"]),
    ]


def _constant(model: ModelProto, name: str, value: np.ndarray[Any, Any]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(value, name))


def _read_tokenizer(folder: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    return body
