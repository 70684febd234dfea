"""Writes the files of a bundle, one function each."""

import json
from dataclasses import asdict
from pathlib import Path

import onnx
from onnx import ModelProto
from tokenizers import Tokenizer
from transformers import BertConfig

from mixkd.compress.bag import BAG
from mixkd.export.account import Account
from mixkd.export.config import ExportConfig
from mixkd.export.details import Details
from mixkd.export.student import Student, weights_sha256
from mixkd.runs import versions
from mixkd.runtime.manifest import DETAILS_FILE, FP32_FILE, INT8_FILE, Manifest, Precision


def write_tokenizer(student: Student, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`.

    Padding and truncation are left to the program that loads the bundle.
    """
    tokenizer = student.tokenizer
    tokenizer.model_max_length = student.max_length
    kept = {"tokenizer.json", "tokenizer_config.json"}
    for path in map(Path, tokenizer.save_pretrained(folder)):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain.no_padding()
    plain.no_truncation()
    plain.save(str(folder / "tokenizer.json"), pretty=False)


def write_config(student: Student, folder: Path) -> None:
    """Write `config.json`, which tells other programs the labels and that the graph is an encoder's.

    transformers.js and optimum refuse types that they don't know, and build nothing from this one: a bag is
    written as a BERT, whose graphs have the same inputs and outputs.
    """
    config = student.model.config
    if config.model_type == BAG:
        known = (
            "id2label",
            "label2id",
            "problem_type",
            "vocab_size",
            "max_position_embeddings",
            "pad_token_id",
        )
        config = BertConfig(
            architectures=["BertForSequenceClassification"],
            **{name: getattr(config, name) for name in known},
        )
    config.save_pretrained(folder)


def write_graphs(folder: Path, *, int8: ModelProto | None, fp32: ModelProto | None) -> None:
    """Write one graph or both into the folder of a bundle."""
    for graph, name in ((int8, INT8_FILE), (fp32, FP32_FILE)):
        if graph is not None:
            (folder / name).parent.mkdir(exist_ok=True)
            onnx.save(graph, folder / name)


def make_manifest(account: Account, config: ExportConfig) -> Manifest:
    """Return the manifest without the files, which `seal_bundle` adds."""
    student, choice, quality = account.student, account.choice, account.quality
    return Manifest(
        task=student.task,
        labels=student.labels,
        max_length=student.max_length,
        inputs=tuple(value.name for value in account.answering.graph.input),
        model_file=INT8_FILE if choice else FP32_FILE,
        precision=Precision.INT8 if choice else Precision.FP32,
        recipe=str(choice.recipe) if choice else "none",
        quality=(quality.as_json() if quality else {})
        | {f"agreement_on_{processor.name}": processor.agreement for processor in account.processors},
        provenance={
            "versions": versions(),
            "config": asdict(config),
            "seed": config.seed,
            "data": account.data,
            "student_sha256": weights_sha256(student.folder),
        },
    )


def write_details(folder: Path, account: Account) -> None:
    """Write `export.json`: how the graph was made, what was tried and what was measured."""
    text = json.dumps(asdict(Details.of(account)), indent=2, ensure_ascii=False) + "\n"
    (folder / DETAILS_FILE).write_text(text, encoding="utf-8")
