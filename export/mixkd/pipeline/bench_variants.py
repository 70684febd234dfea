"""The bench's variants that need PyTorch: the teacher as it is, and teacher or student exported to ONNX."""

import json
from pathlib import Path

from mixkd.bench.variants import FactoryVariant, Kind, OnnxVariant, Variant
from mixkd.errors import ModelError
from mixkd.extras import require
from mixkd.labels import label_space_of
from mixkd.runtime.manifest import Manifest

TORCH_FACTORY = "mixkd.export.judge.reference:TorchModel"


def make_variant(kind: Kind, model: str | Path, *, bundle: Manifest, scratch: Path) -> Variant:
    """Make one variant of a teacher or a student; see `mixkd.bench.making.VariantMaker`."""
    require("torch", "transformers", extra="compress")
    from mixkd.compress.locate import find_model

    folder = find_model(str(model))
    labels = _labels_of(folder, bundle.labels)
    if kind is Kind.TEACHER_TORCH:
        return FactoryVariant(
            name=kind,
            factory=TORCH_FACTORY,
            folder=folder,
            max_length=bundle.max_length,
            precision="fp32",
            labels=labels,
        )
    require("onnx", extra="export")
    int8 = kind is Kind.TEACHER_INT8
    return OnnxVariant(
        name=kind,
        model=_quantized(scratch) if int8 else _exported(folder, scratch / f"{kind}.onnx"),
        tokenizer=folder,
        max_length=bundle.max_length,
        precision="int8" if int8 else "fp32",
        labels=labels,
    )


def _exported(folder: Path, file: Path) -> Path:
    """Export a Hugging Face folder to fp32 ONNX, with the rewrites that a bundle gets."""
    from mixkd.export.judge.reference import export_fp32

    export_fp32(folder, file)
    return file


def _quantized(scratch: Path) -> Path:
    """Quantize the exported teacher with the default recipe: what int8 alone would have given."""
    fp32 = scratch / f"{Kind.TEACHER_ONNX}.onnx"
    if not fp32.is_file():
        raise ModelError(f"there is no {Kind.TEACHER_ONNX} to quantize")
    import onnx

    from mixkd.export.config import ExportConfig
    from mixkd.export.int8.quantize import quantize

    choice = ExportConfig()
    file = scratch / f"{Kind.TEACHER_INT8}.onnx"
    onnx.save(quantize(onnx.load(fp32), choice.recipes[0], tables=choice.embeddings).model, file)
    return file


def _labels_of(folder: Path, expected: tuple[str, ...]) -> tuple[str, ...]:
    """Return a model folder's labels in its own order, checked against the bundle's."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}") from error
    labels = label_space_of(config, model=str(folder)).names
    if set(labels) != set(expected):
        odd = min(set(labels) ^ set(expected))
        raise ModelError(f"{folder} and the bundle have different labels, such as {odd!r}")
    return labels
