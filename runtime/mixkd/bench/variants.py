"""What is measured: a variant names the files to load and knows their size; it loads nothing itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from mixkd.errors import ConfigError

_WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")


class Kind(StrEnum):
    """The usual variants, in the order of the speed-up's factors."""

    TEACHER_TORCH = "teacher-torch"
    TEACHER_ONNX = "teacher-onnx"
    TEACHER_INT8 = "teacher-int8"
    STUDENT_FP32 = "student-fp32"
    STUDENT_INT8 = "student-int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxVariant:
    """An ONNX file that onnxruntime answers from.

    Attributes:
        name: Its name in the report, one of `Kind` or any other.
        model: The ONNX file.
        tokenizer: The folder with `tokenizer.json` and `tokenizer_config.json`.
        max_length: Tokens per text, special ones included.
        precision: ``int8`` or ``fp32``, as the report says it.
        labels: One name per output, in the outputs' order; (C,).
    """

    name: str
    model: Path
    tokenizer: Path
    max_length: int
    precision: str
    labels: tuple[str, ...]

    @property
    def runtime(self) -> str:
        """The engine that answers."""
        return "onnxruntime"

    def weight_files(self) -> list[Path]:
        """Return the ONNX file, which holds all weights: external data is refused."""
        return [self.model]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryVariant:
    """A model of another engine than onnxruntime, such as PyTorch: a class that only the worker imports.

    Attributes:
        name: Its name in the report.
        factory: ``module:Class``, called as ``Class(folder, threads=..., max_length=...)``.
        folder: The Hugging Face folder.
        max_length: Tokens per text, special ones included.
        precision: The number format of the weights.
        labels: One name per output, in the outputs' order; (C,).
        runtime: The engine that answers.
    """

    name: str
    factory: str
    folder: Path
    max_length: int
    precision: str
    labels: tuple[str, ...]
    runtime: str = "torch"

    def weight_files(self) -> list[Path]:
        """Return the files that hold the weights."""
        found = (sorted(self.folder.glob(pattern)) for pattern in _WEIGHT_PATTERNS)
        return next((files for files in found if files), [])


Variant: TypeAlias = OnnxVariant | FactoryVariant


def size_bytes(variant: Variant) -> int:
    """Return the size of the variant's weight files; the tokenizer isn't counted, the packages neither."""
    return sum(path.stat().st_size for path in variant.weight_files())


def to_json(variant: Variant) -> dict[str, Any]:
    """Return the variant as JSON values, for the worker's pipe."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(variant).items()}


def from_json(body: Mapping[str, Any]) -> Variant:
    """Return the variant that `to_json` wrote."""
    fields = {**body, "labels": tuple(body["labels"])}
    if "model" in fields:
        fields["model"], fields["tokenizer"] = Path(fields["model"]), Path(fields["tokenizer"])
        return OnnxVariant(**fields)
    fields["folder"] = Path(fields["folder"])
    return FactoryVariant(**fields)


def check_names(variants: list[Variant]) -> None:
    """Refuse an empty list and two variants of one name."""
    names = [variant.name for variant in variants]
    if not names:
        raise ConfigError("nothing to measure: give a bundle, or a teacher folder with --teacher")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"two variants are named {twice}: give each its own name")
