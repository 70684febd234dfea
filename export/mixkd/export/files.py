"""The files of a bundle, one function each."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from tokenizers import Tokenizer

from mixkd.runs import versions
from mixkd.runtime.bundle import FP32_FILE, INT8_FILE, Manifest, Precision

from .budget import Choice
from .config import ExportConfig
from .rewrite import RewriteReport
from .sizes import Sizes
from .student import Student
from .verify import Quality

DETAILS_FILE = "export.json"


def write_tokenizer(student: Student, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`.

    Whoever loads the bundle sets padding and truncation; what training left in the file would surprise them.
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


def write_graphs(folder: Path, fp32: onnx.ModelProto, choice: Choice | None, *, keep_fp32: bool) -> None:
    """Write the int8 graph, and the fp32 one where it is wanted or all there is."""
    (folder / INT8_FILE).parent.mkdir()
    if choice:
        onnx.save(choice.quantized.model, folder / INT8_FILE)
    if keep_fp32 or not choice:
        onnx.save(fp32, folder / FP32_FILE)


def make_manifest(
    student: Student,
    output: Path,
    config: ExportConfig,
    *,
    answering: onnx.ModelProto,
    choice: Choice | None,
    quality: Quality | None,
    data: dict[str, Any] | None,
) -> Manifest:
    """Return the manifest, but for the files, which `seal_bundle` counts."""
    return Manifest(
        task=student.task,
        labels=student.labels,
        max_length=student.max_length,
        inputs=tuple(value.name for value in answering.graph.input),
        model_file=INT8_FILE if choice else FP32_FILE,
        precision=Precision.INT8 if choice else Precision.FP32,
        recipe=str(choice.recipe) if choice else "none",
        quality=quality.as_json() if quality else {},
        provenance={
            "versions": versions(),
            "config": asdict(config),
            "seed": config.seed,
            "data": data,
            "student": os.path.relpath(student.folder.resolve(), output.resolve()),
            "student_sha256": student.sha256(),
        },
    )


def write_details(
    folder: Path,
    *,
    rewrites: RewriteReport,
    choice: Choice | None,
    sizes: Sizes,
    quality: Quality | None,
    notes: tuple[str, ...],
) -> None:
    """Write `export.json`: how the graph was made, what was tried, what was measured."""
    body = {
        "rewrites": rewrites.as_json(),
        "sizes": sizes.as_json(),
        "int8_products": list(choice.quantized.products) if choice else [],
        "int8_tables": list(choice.quantized.tables) if choice else [],
        "kept_fp32": list(choice.kept) if choice else [],
        "trials": [trial.as_json() for trial in choice.trials] if choice else [],
        "quality": quality.as_json() if quality else None,
        "notes": list(notes),
    }
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    (folder / DETAILS_FILE).write_text(text, encoding="utf-8")
