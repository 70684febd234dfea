"""`mkd quickstart`: the whole way on the embedded data, from a pretrained encoder to a measured bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixkd.compress.config import MINILM, DistillConfig, FinetuneConfig
from mixkd.compress.distill import distill
from mixkd.compress.teacher import finetune
from mixkd.export import ExportConfig, export_student
from mixkd.outputs import check_output
from mixkd.pipeline.bench import bench_bundle
from mixkd.runtime.bench.config import BenchConfig
from mixkd.runtime.bench.measure import Progress, no_progress
from mixkd.runtime.bench.report import Report
from mixkd.texts import open_corpus

DATA = "clinc150"
STUDENT_LAYERS = 3
_SMOKE_STRIDE = 10
"""The smoke run uses every tenth text: ten of each intent to train on."""


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
        smoke: Use a tenth of the texts and a short measurement: shows that all works, in a minute.
        seed: Of everything random.
        overwrite: Replace what `output` holds.
        resume: Keep the stages that are done in `output`, and go on with the one that was interrupted.
        announce: Told what begins.
        progress: Told how far the measurement is.

    Raises:
        MkdError: As the stages do.
    """
    if not resume:
        check_output(output, overwrite=overwrite)
    corpus = open_corpus(DATA)
    if smoke:
        corpus = corpus.thinned(_SMOKE_STRIDE)
    made = {name: output / name for name in ("teacher", "student", "bundle", "report")}

    def missing(name: str) -> bool:
        return not (resume and made[name].is_dir())

    def interrupted(name: str) -> bool:
        return resume and made[name].with_name(f"{name}.partial").is_dir()

    if missing("teacher"):
        announce(f"1/4 fine-tuning the teacher: {model} on {DATA}")
        finetune(
            model,
            corpus,
            made["teacher"],
            config=FinetuneConfig(
                epochs=4 if smoke else 2, batch_size=32, freeze_embeddings=True, max_length=64, seed=seed
            ),
            overwrite=not resume,
            resume=interrupted("teacher"),
        )
    if missing("student"):
        announce(f"2/4 distilling a student of {STUDENT_LAYERS} layers with MixKD")
        distill(
            str(made["teacher"]),
            corpus,
            made["student"],
            config=DistillConfig(
                epochs=4 if smoke else 2, student_layers=STUDENT_LAYERS, max_length=64, seed=seed
            ),
            overwrite=not resume,
            resume=interrupted("student"),
        )
    if missing("bundle"):
        announce("3/4 exporting to int8 ONNX")
        export_student(
            made["student"], made["bundle"], config=ExportConfig(), corpus=corpus, overwrite=not resume
        )
    announce("4/4 measuring teacher and student")
    report = bench_bundle(
        made["bundle"],
        teacher=made["teacher"],
        student=made["student"],
        corpus=corpus,
        output=made["report"],
        config=BenchConfig.quick(seed=seed) if smoke else BenchConfig(seed=seed),
        overwrite=True,
        progress=progress,
    )
    return Quickstart(
        teacher=made["teacher"],
        student=made["student"],
        bundle=made["bundle"],
        report_folder=made["report"],
        report=report,
    )
