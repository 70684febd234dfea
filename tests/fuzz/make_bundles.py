"""Make the bundles that mutants are made of: tiny students of three encoders, as mkd exports them.

    python -m tests.fuzz.make_bundles

They are committed, so that the children that load mutants need no torch, and run with any onnxruntime. Run
this again when the graphs that mkd writes have changed.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from mixkd.export import ExportConfig, Recipe, export
from mixkd.runtime.bundle import seal_bundle
from tests.tiny import tiny_classifier, tiny_texts, write_answers, write_student

FOLDER = Path(__file__).parent / "bundles"
BUNDLES = {
    "portable": ("bert", ExportConfig(max_drop=50.0), 300),
    "static": ("electra", ExportConfig(recipe=(Recipe("static"),), max_drop=50.0), 300),
    "fp32": ("deberta-v2", ExportConfig(int8=False), 120),
}
KEPT = ("config.json", "tokenizer.json", "tokenizer_config.json", "onnx")


def main() -> None:
    """Write all of them anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    torch.set_num_threads(1)
    for name, (encoder, config, pieces) in BUNDLES.items():
        with tempfile.TemporaryDirectory() as scratch:
            made, model = Path(scratch), tiny_classifier(encoder, vocab_size=pieces)
            student = write_student(made / "student", model)
            data = write_answers(made / "data", model, tiny_texts(40))
            bundle = export(student, made / "bundle", data=data, config=config).bundle
            for kept in KEPT:
                source, target = bundle.folder / kept, FOLDER / name / kept
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
            seal_bundle(FOLDER / name, replace(bundle.manifest, quality={}, provenance={}))


if __name__ == "__main__":
    main()
