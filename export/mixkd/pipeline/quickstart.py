"""`mkd quickstart`: every stage on the built-in data, from a pretrained encoder to a measured bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixkd.bench import bench
from mixkd.bench.config import BenchConfig
from mixkd.bench.report.schema import Report
from mixkd.compress import distill, finetune
from mixkd.compress.config import MINILM, DistillConfig, FinetuneConfig
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.export import export
from mixkd.outputs import claim_folder
from mixkd.progress import Progress, no_progress
from mixkd.runs import guard_resume, request_of

DATA = "clinc150"
STUDENT_LAYERS = 3
_REQUEST_FILE = "request.json"
_SMOKE_STRIDE = 20
"""The smoke run uses every twentieth text: five of each intent to train on."""


@dataclass(frozen=True, slots=True)
class Quickstart:
    """What a quickstart made.

    Attributes:
        teacher: The fine-tuned teacher's folder.
        student: The distilled student's folder.
        bundle: What an app embeds.
        report_folder: report.json, report.html, report.md.
        report: The measurements.
    """

    teacher: Path
    student: Path
    bundle: Path
    report_folder: Path
    report: Report


def quickstart(
    output: Path,
    *,
    model: str = MINILM,
    smoke: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> Quickstart:
    """Fine-tune MiniLM on clinc150, distil it to three layers with MixKD, export to int8, measure.

    Args:
        output: Gets the folders teacher, student, bundle and report.
        model: The encoder the teacher starts from.
        smoke: Use a twentieth of the texts and a short measurement, to see in a minute that everything works.
        seed: Seed of everything random.
        overwrite: Replace what `output` holds.
        resume: Keep the stages that are complete in `output`, and continue the one that was interrupted. The
            other arguments must be the same.
        announce: Called with a line when a stage begins.
        progress: Called with each step of the export and the measurement.

    Raises:
        MkdError: As the stages do.
    """
    corpus = open_corpus(DATA)
    if smoke:
        corpus = corpus.thinned(_SMOKE_STRIDE)
    if not (resume and output.is_dir()):
        claim_folder(output, (_REQUEST_FILE,), overwrite=overwrite)
        (output / _REQUEST_FILE).unlink(missing_ok=True)
    guard_resume(
        output / _REQUEST_FILE, request_of(corpus, config={"seed": seed, "smoke": smoke}, model=model)
    )
    for name, line, run in _stages(output, corpus, model=model, smoke=smoke, seed=seed, progress=progress):
        folder = output / name
        if not (resume and folder.is_dir()):
            announce(line)
            run(folder, overwrite=not resume, resume=resume, progress=progress)
    announce("4/4 measuring teacher and student")
    report = bench(
        output / "bundle",
        corpus,
        teacher=output / "teacher",
        student=output / "student",
        output=output / "report",
        config=_bench_config(smoke, seed),
        overwrite=True,
        progress=progress,
    )
    return Quickstart(
        teacher=output / "teacher",
        student=output / "student",
        bundle=output / "bundle",
        report_folder=output / "report",
        report=report,
    )


def _stages(
    output: Path, corpus: Corpus, *, model: str, smoke: bool, seed: int, progress: Progress
) -> list[tuple[str, str, Callable[..., object]]]:
    """Return the folder, the announcement and the function of every stage before the measurement."""
    return [
        (
            "teacher",
            f"1/4 fine-tuning the teacher: {model} on {DATA}",
            lambda folder, **how: finetune(model, corpus, folder, config=_teacher_config(smoke, seed), **how),
        ),
        (
            "student",
            f"2/4 distilling a student of {STUDENT_LAYERS} layers with MixKD",
            lambda folder, **how: distill(
                str(output / "teacher"), corpus, folder, config=_student_config(smoke, seed), **how
            ),
        ),
        (
            "bundle",
            "3/4 exporting to int8 ONNX",
            lambda folder, **how: export(
                output / "student", folder, data=corpus, overwrite=how["overwrite"], progress=progress
            ),
        ),
    ]


def _teacher_config(smoke: bool, seed: int) -> FinetuneConfig:
    # Two epochs with a large learning rate and no dropout: tuned for a short run on two cores.
    return FinetuneConfig(
        epochs=4 if smoke else 2,
        batch_size=32 if smoke else 64,
        learning_rate=3e-4,
        dropout=0.0,
        freeze_embeddings=True,
        max_length=64,
        seed=seed,
    )


def _student_config(smoke: bool, seed: int) -> DistillConfig:
    return DistillConfig(
        epochs=3 if smoke else 2,
        batch_size=64,
        learning_rate=4e-4,
        student_layers=STUDENT_LAYERS,
        max_length=64,
        seed=seed,
    )


def _bench_config(smoke: bool, seed: int) -> BenchConfig:
    if smoke:
        return BenchConfig.quick(seed=seed)
    # Enough samples for a p90, and quality on every test text; the defaults would take minutes longer.
    return BenchConfig(samples=256, curve_samples=16, teacher_int8=False, seed=seed)
