"""Which variants a bundle, its student and its teacher allow, and why the others are absent."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

from mixkd.bench.report.schema import Absent
from mixkd.bench.variants import Kind, OnnxVariant, Variant
from mixkd.errors import BundleError, MkdError, ModelError
from mixkd.extras import plugin
from mixkd.progress import Progress
from mixkd.runtime.bundle import Bundle, open_bundle
from mixkd.runtime.manifest import Manifest, Precision


class VariantMaker(Protocol):
    """Makes the variants that need PyTorch; a later stage provides it as the plugin ``bench-variants``."""

    def __call__(self, kind: Kind, model: str | Path, *, bundle: Manifest, scratch: Path) -> Variant:
        """Make one variant of a teacher or a student.

        Args:
            kind: Which variant; ``teacher-int8`` is asked for after ``teacher-onnx``.
            model: A folder or a name on the hub.
            bundle: The manifest of the bundle it is compared with: its labels and length.
            scratch: A folder for exported files, the same for all variants of one measurement.

        Raises:
            ModelError: If the model can't be used, or its labels aren't the bundle's.
            MissingExtraError: If a package that it needs isn't installed.
        """


class Made(NamedTuple):
    """The variants, slowest first, and those that can't be made, with the reason."""

    variants: tuple[Variant, ...]
    absent: tuple[Absent, ...]


def make_variants(
    bundle: Bundle,
    *,
    teacher: str | Path | None,
    student: str | Path | None,
    int8: bool,
    scratch: Path,
    progress: Progress,
) -> Made:
    """Make every variant that can be made.

    Args:
        bundle: The bundle.
        teacher: The teacher's folder or name; None leaves its variants absent.
        student: The student's folder or name; None takes the fp32 graph that the bundle keeps.
        int8: Whether the quantized teacher is made, too.
        scratch: A folder for exported files.
        progress: Called with each variant.
    """
    kinds = [Kind.TEACHER_TORCH, Kind.TEACHER_ONNX, Kind.TEACHER_INT8, Kind.STUDENT_FP32]
    if not int8:
        kinds.remove(Kind.TEACHER_INT8)
    variants: list[Variant] = []
    absent = []
    for number, kind in enumerate(kinds):
        progress(f"making {kind}", number, len(kinds))
        try:
            variants.append(_make(kind, bundle, teacher=teacher, student=student, scratch=scratch))
        except MkdError as error:
            absent.append(Absent(label=kind, reason=str(error)))
    # A bundle exported without quantization answers in fp32.
    name = Kind.STUDENT_INT8 if bundle.manifest.precision is Precision.INT8 else "student-bundle"
    variants.append(bundle_variant(bundle, name))
    return Made(tuple(variants), tuple(absent))


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


def other_bundles(folders: Sequence[Path], bundle: Bundle) -> list[OnnxVariant]:
    """Return other bundles as variants named like their folders.

    Raises:
        BundleError: If one is damaged, or its labels aren't the first bundle's.
    """
    variants = []
    for folder in folders:
        other = open_bundle(folder)
        if set(other.manifest.labels) != set(bundle.manifest.labels):
            raise BundleError(f"{folder} has other labels than {bundle.folder}: measure it by itself")
        variants.append(bundle_variant(other, folder.resolve().name))
    return variants


def _make(
    kind: Kind, bundle: Bundle, *, teacher: str | Path | None, student: str | Path | None, scratch: Path
) -> Variant:
    if kind is Kind.STUDENT_FP32:
        if student is None and bundle.fp32_path:
            return replace(bundle_variant(bundle, kind), model=bundle.fp32_path, precision="fp32")
        if student is None:
            raise ModelError("the bundle keeps no fp32 graph: name the student with --student")
        model = student
    elif teacher is None:
        raise ModelError("no teacher given: name it with --teacher")
    else:
        model = teacher
    make: VariantMaker = plugin("bench-variants", extra="export")
    return make(kind, model, bundle=bundle.manifest, scratch=scratch)
