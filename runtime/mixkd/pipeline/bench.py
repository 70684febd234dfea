"""`mkd bench`: makes the variants that a bundle and its teacher allow, and has them measured."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mixkd.errors import MissingExtraError, MkdError, ModelError
from mixkd.outputs import fresh_folder
from mixkd.runtime.bench.config import BenchConfig
from mixkd.runtime.bench.measure import Progress, measure, no_progress
from mixkd.runtime.bench.plan import Plan
from mixkd.runtime.bench.report import Absent, Report
from mixkd.runtime.bench.sampling import TokenCounter, draw_sample
from mixkd.runtime.bench.variants import FactoryVariant, Kind, OnnxVariant, Variant
from mixkd.runtime.bench.writing import write_report
from mixkd.runtime.bundle import Bundle, open_bundle
from mixkd.texts import Corpus

TORCH_FACTORY = "mixkd.export.reference:TorchModel"


def bench_bundle(
    bundle: Path,
    *,
    teacher: Path | None,
    student: Path | None,
    corpus: Corpus,
    output: Path | None,
    config: BenchConfig,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Report:
    """Measure a bundle against its teacher and its own fp32 student.

    Args:
        bundle: The bundle.
        teacher: The teacher's folder; None measures without one.
        student: The student's folder; None takes the one the bundle's manifest names, if it still stands.
        corpus: The texts; its test split, else its validation split.
        output: Where `report.json`, `report.html` and `report.md` go; None writes nothing.
        config: How long and how closely.
        overwrite: Whether what the output folder holds may be replaced.
        progress: Told how far it is.

    Returns:
        The report; a variant that couldn't be made stands in `absent` with the reason.

    Raises:
        BundleError: If the bundle is damaged.
        OutputError: If the output can't be written.
        MeasureError: If nothing could be measured.
    """
    opened = open_bundle(bundle)
    manifest = opened.manifest
    with ExitStack() as stack:
        folder = stack.enter_context(fresh_folder(output, overwrite=overwrite)) if output else None
        counter = TokenCounter(opened.tokenizer_path, manifest.max_length)
        sample = draw_sample(corpus, config, counter)
        variants, absent = stack.enter_context(_made_variants(opened, teacher, student, progress))
        plan = Plan(
            title=bundle.resolve().name,
            variants=tuple(variants),
            absent=tuple(absent),
            sample=sample,
            corpus=corpus,
            task=manifest.task,
            labels=manifest.labels,
            config=config,
        )
        report = measure(plan, progress=progress)
        if folder:
            write_report(report, folder)
    return report


@dataclass(frozen=True, slots=True)
class _Making:
    """What the functions that make variants share."""

    bundle: Bundle
    scratch: Path
    progress: Progress

    @property
    def max_length(self) -> int:
        return self.bundle.manifest.max_length

    @property
    def labels(self) -> tuple[str, ...]:
        return self.bundle.manifest.labels


@contextmanager
def _made_variants(
    bundle: Bundle, teacher: Path | None, student: Path | None, progress: Progress
) -> Iterator[tuple[list[Variant], list[Absent]]]:
    """Yield the variants, slowest first, and those that can't be made; exported files live in the block."""
    manifest = bundle.manifest
    with tempfile.TemporaryDirectory(prefix="mkd-bench-") as scratch:
        making = _Making(bundle, Path(scratch), progress)
        makers: dict[Kind, Callable[[], Variant]] = {
            Kind.TEACHER_TORCH: lambda: _torch_variant(making, _teacher_folder(teacher)),
            Kind.TEACHER_ONNX: lambda: _exported(making, Kind.TEACHER_ONNX, _teacher_folder(teacher)),
            Kind.STUDENT_FP32: lambda: _student_fp32(making, student),
        }
        variants: list[Variant] = []
        absent = []
        for number, (kind, make) in enumerate(makers.items()):
            progress(f"making {kind}", number, len(makers))
            try:
                variants.append(make())
            except MkdError as error:
                absent.append(Absent(label=kind, reason=str(error)))
        # A bundle exported without quantization answers in fp32: it is then the fp32 student itself.
        name = Kind.STUDENT_INT8 if manifest.precision == "int8" else "student-bundle"
        variants.append(_onnx(making, name, bundle.model_path, precision=manifest.precision))
        yield variants, absent


def _torch_variant(making: _Making, folder: Path) -> FactoryVariant:
    _need("torch", "compress")
    return FactoryVariant(
        name=Kind.TEACHER_TORCH,
        factory=TORCH_FACTORY,
        folder=folder,
        max_length=making.max_length,
        precision="fp32",
        labels=_labels_of(folder, making.labels),
    )


def _student_fp32(making: _Making, student: Path | None) -> OnnxVariant:
    if student is None and making.bundle.fp32_path:
        return _onnx(making, Kind.STUDENT_FP32, making.bundle.fp32_path, precision="fp32")
    return _exported(making, Kind.STUDENT_FP32, student or _recorded_student(making.bundle))


def _exported(making: _Making, kind: Kind, folder: Path) -> OnnxVariant:
    """Export a Hugging Face folder to fp32 ONNX, without any rewrite, and name it as a variant."""
    labels = _labels_of(folder, making.labels)
    _need("torch", "export")
    _need("optimum", "export")
    from mixkd.export.reference import export_fp32

    file = making.scratch / f"{kind}.onnx"
    export_fp32(folder, file)
    return OnnxVariant(
        name=kind,
        model=file,
        tokenizer=folder,
        max_length=making.max_length,
        precision="fp32",
        labels=labels,
    )


def _onnx(making: _Making, name: str, model: Path, *, precision: str) -> OnnxVariant:
    return OnnxVariant(
        name=name,
        model=model,
        tokenizer=making.bundle.folder,
        max_length=making.max_length,
        precision=precision,
        labels=making.labels,
    )


def _teacher_folder(teacher: Path | None) -> Path:
    if teacher is None:
        raise ModelError("no teacher given: name its folder with --teacher")
    return teacher


def _recorded_student(bundle: Bundle) -> Path:
    """Return the folder of the student that the bundle was made of, if it still is that student."""
    provenance = bundle.manifest.provenance
    recorded = provenance.get("student")
    if not isinstance(recorded, str):
        raise ModelError("the bundle doesn't say which student it was made of: name it with --student")
    folder = (bundle.folder / recorded).resolve()
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ModelError(f"the student is not at {folder} any more: name it with --student")
    with weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != provenance.get("student_sha256"):
            raise ModelError(f"{folder} is not the student this bundle was made of: name it with --student")
    return folder


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
