"""The variants that a bundle, its student and its teacher allow; what can't be made is told, not raised."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from mixkd.bench.progress import Progress
from mixkd.bench.report.schema import Absent
from mixkd.bench.variants import FactoryVariant, Kind, OnnxVariant, Variant
from mixkd.errors import BundleError, MissingExtraError, MkdError, ModelError
from mixkd.runtime.bundle import Bundle, open_bundle

TORCH_FACTORY = "mixkd.export.judge.reference:TorchModel"


class VariantMaker:
    """Makes the variants of one bundle; exported files go to a scratch folder."""

    def __init__(self, bundle: Bundle, *, teacher: Path | None, student: Path | None, scratch: Path) -> None:
        self._bundle, self._manifest = bundle, bundle.manifest
        self._teacher, self._student = teacher, student
        self._scratch = scratch

    def make(self, progress: Progress, *, teacher_int8: bool) -> tuple[list[Variant], list[Absent]]:
        """Return the variants, slowest first, and those that can't be made, with the reason."""
        makers: dict[Kind, Callable[[], Variant]] = {
            Kind.TEACHER_TORCH: self._torch_teacher,
            Kind.TEACHER_ONNX: lambda: self._exported(Kind.TEACHER_ONNX, self._teacher_folder()),
            Kind.TEACHER_INT8: self._quantized_teacher,
            Kind.STUDENT_FP32: self._fp32_student,
        }
        if not teacher_int8:
            del makers[Kind.TEACHER_INT8]
        variants: list[Variant] = []
        absent = []
        for number, (kind, make) in enumerate(makers.items()):
            progress(f"making {kind}", number, len(makers))
            try:
                variants.append(make())
            except MkdError as error:
                absent.append(Absent(label=kind, reason=str(error)))
        # A bundle exported without quantization answers in fp32, whatever its student was called.
        name = Kind.STUDENT_INT8 if self._manifest.precision == "int8" else "student-bundle"
        variants.append(bundle_variant(self._bundle, name))
        return variants, absent

    def other_bundle(self, folder: Path) -> OnnxVariant:
        """Return another bundle as a variant named like its folder.

        Raises:
            BundleError: If it is damaged, or its labels differ.
        """
        other = open_bundle(folder)
        if set(other.manifest.labels) != set(self._manifest.labels):
            raise BundleError(f"{folder} has other labels than {self._bundle.folder}: measure it by itself")
        return bundle_variant(other, folder.resolve().name)

    def _torch_teacher(self) -> FactoryVariant:
        folder = self._teacher_folder()
        _need("torch", "compress")
        return FactoryVariant(
            name=Kind.TEACHER_TORCH,
            factory=TORCH_FACTORY,
            folder=folder,
            max_length=self._manifest.max_length,
            precision="fp32",
            labels=_labels_of(folder, self._manifest.labels),
        )

    def _exported(self, kind: Kind, folder: Path) -> OnnxVariant:
        """Export a Hugging Face folder to fp32 ONNX, with the rewrites that a bundle gets."""
        labels = _labels_of(folder, self._manifest.labels)
        _need("torch", "export")
        _need("optimum", "export")
        from mixkd.export.judge.reference import export_fp32

        file = self._scratch / f"{kind}.onnx"
        export_fp32(folder, file)
        return OnnxVariant(
            name=kind,
            model=file,
            tokenizer=folder,
            max_length=self._manifest.max_length,
            precision="fp32",
            labels=labels,
        )

    def _quantized_teacher(self) -> OnnxVariant:
        """Quantize the exported teacher by the default recipe: what int8 alone would have given."""
        folder = self._teacher_folder()
        fp32 = self._scratch / f"{Kind.TEACHER_ONNX}.onnx"
        if not fp32.is_file():
            raise ModelError(f"there is no {Kind.TEACHER_ONNX} to quantize")
        import onnx

        from mixkd.export.config import ExportConfig
        from mixkd.export.int8.quantize import quantize

        choice = ExportConfig()
        file = self._scratch / f"{Kind.TEACHER_INT8}.onnx"
        onnx.save(quantize(onnx.load(fp32), choice.recipes[0], tables=choice.embeddings).model, file)
        return OnnxVariant(
            name=Kind.TEACHER_INT8,
            model=file,
            tokenizer=folder,
            max_length=self._manifest.max_length,
            precision="int8",
            labels=_labels_of(folder, self._manifest.labels),
        )

    def _fp32_student(self) -> OnnxVariant:
        if self._student is None and self._bundle.fp32_path:
            variant = bundle_variant(self._bundle, Kind.STUDENT_FP32)
            return replace(variant, model=self._bundle.fp32_path, precision="fp32")
        return self._exported(Kind.STUDENT_FP32, self._student or self._recorded_student())

    def _teacher_folder(self) -> Path:
        if self._teacher is None:
            raise ModelError("no teacher given: name its folder with --teacher")
        return self._teacher

    def _recorded_student(self) -> Path:
        """Return the folder of the student that the bundle was made of, if it still is that student."""
        recorded = self._manifest.provenance.get("student")
        if not isinstance(recorded, str):
            raise ModelError("the bundle doesn't say which student it was made of: name it with --student")
        folder = (self._bundle.folder / recorded).resolve()
        weights = folder / "model.safetensors"
        if not weights.is_file():
            raise ModelError(f"the student is not at {folder} any more: name it with --student")
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self._manifest.provenance.get("student_sha256"):
            raise ModelError(f"{folder} is not the student this bundle was made of: name it with --student")
        return folder


def bundle_variant(bundle: Bundle, name: str) -> OnnxVariant:
    """Return the answering graph of a bundle as a variant."""
    manifest = bundle.manifest
    return OnnxVariant(
        name=name,
        model=bundle.model_path,
        tokenizer=bundle.folder,
        max_length=manifest.max_length,
        precision=manifest.precision,
        labels=manifest.labels,
    )


def _labels_of(folder: Path, expected: tuple[str, ...]) -> tuple[str, ...]:
    """Return a Hugging Face folder's labels in its own order, checked against the bundle's."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        names = config["id2label"]
        labels = tuple(str(names[key]) for key in sorted(names, key=int))
    except OSError as error:
        raise ModelError(f"{folder} is not a model folder: it has no config.json that can be read") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} has no usable id2label: fine-tune the model with mkd finetune") from error
    if set(labels) != set(expected):
        odd = min(set(labels) ^ set(expected))
        raise ModelError(f"{folder} and the bundle have different labels, such as {odd!r}")
    return labels


def _need(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)
