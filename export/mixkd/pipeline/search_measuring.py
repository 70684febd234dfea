"""Measures the candidates of a search: untrained students, and the finished bundles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from mixkd.bench.config import BenchConfig
from mixkd.bench.making import bundle_variant
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.schema import Report
from mixkd.bench.sampling import TokenCounter, draw_sample
from mixkd.bench.targets.base import Target
from mixkd.compress.checkpoints import load_classifier, load_tokenizer
from mixkd.compress.config import DistillConfig
from mixkd.compress.distillation import untrained_student
from mixkd.compress.locate import find_model
from mixkd.compress.narrowing import narrow, planned_widths
from mixkd.corpus.corpus import Corpus, ThinnedSplit
from mixkd.errors import MkdError
from mixkd.export import export
from mixkd.pipeline.search_grid import Candidate, Shape
from mixkd.progress import Progress
from mixkd.runtime.bundle import Bundle

_NARROWING_TEXTS = 4
_PROBE_ROWS = 200
_PROBE_STRIDE = 100
"""An export measures quality, too; for an untrained student every hundredth text is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The speed and size of an untrained candidate; training changes neither.

    Attributes:
        name: The candidate.
        p50_ms: Median latency.
        low_ms: The lower end of its interval.
        size_bytes: The file of weights.
        failure: Why it couldn't be made or measured; the other fields are None then.
    """

    name: str
    p50_ms: float | None = None
    low_ms: float | None = None
    size_bytes: int | None = None
    failure: str | None = None


class Measuring:
    """Exports and measures candidates of one teacher on one target."""

    def __init__(
        self, teacher: str, corpus: Corpus, distillation: DistillConfig, target: Target, progress: Progress
    ) -> None:
        self._teacher, self._corpus, self._distillation = teacher, corpus, distillation
        self._target, self._progress = target, progress

    def probe(self, candidates: Sequence[Candidate], scratch: Path) -> list[Probe]:
        """Measure candidates untrained.

        Args:
            candidates: The candidates.
            scratch: A folder for their files.
        """
        bundles: dict[str, Bundle] = {}
        failures: dict[str, str] = {}
        thin = {
            name: split if name == "train" else ThinnedSplit(split, _PROBE_STRIDE)
            for name, split in self._corpus.splits.items()
        }
        corpus = replace(self._corpus, splits=thin)
        for number, candidate in enumerate(candidates):
            self._progress(f"exporting {candidate.name}, untrained", number, len(candidates))
            config = candidate.export_config(max_length=self._distillation.max_length)
            try:
                student = self._untrained(candidate.shape, scratch)
                made = export(student, scratch / candidate.name, config=config, data=corpus)
                bundles[candidate.name] = made.bundle
            except MkdError as error:
                failures[candidate.name] = str(error)
        report = self.bench(bundles, rows=_PROBE_ROWS) if bundles else None
        return [
            Probe(name=one.name, failure=failures[one.name])
            if report is None or one.name in failures
            else _probe_of(one.name, report)
            for one in candidates
        ]

    def bench(
        self, bundles: Mapping[str, Bundle], *, split: str | None = None, rows: int | None = None
    ) -> Report:
        """Measure bundles together, taking turns.

        Args:
            bundles: By name.
            split: The texts; None takes what `mkd bench` takes.
            rows: How many of them the quality is measured on; None takes all.
        """
        # Enough texts for a median. The length curve, the teacher and the p99 are left to `mkd bench`.
        config = BenchConfig(
            samples=256, curve_samples=0, split=split, quality_rows=rows, seed=self._distillation.seed
        )
        one = next(iter(bundles.values()))
        manifest = one.manifest
        plan = Plan(
            title="mkd search",
            variants=tuple(bundle_variant(bundle, name) for name, bundle in bundles.items()),
            sample=draw_sample(self._corpus, config, TokenCounter(one)),
            corpus=self._corpus,
            task=manifest.task,
            labels=manifest.labels,
            config=config,
            targets=(self._target,),
        )
        report = measure(plan, progress=self._progress)
        self._progress("", 0, 1)  # the training that follows shows its own progress
        return report

    def _untrained(self, shape: Shape, scratch: Path) -> Path:
        """Return the folder of the shape's untrained student; it is written at the first call."""
        folder = scratch / f"student-{shape.name}"
        if folder.is_dir():
            return folder
        home = find_model(self._teacher)
        teacher, tokenizer = load_classifier(home), load_tokenizer(home)
        config = shape.training(self._distillation)
        model, tokenizer, _ = untrained_student(teacher, tokenizer, home, config)
        widths = planned_widths(teacher, ffn=config.student_ffn, heads=config.student_heads)
        if widths is not None:
            # Which neurons are kept makes no difference to the latency: a few texts will do.
            rows = islice(self._corpus.read(self._corpus.first_split("train")), _NARROWING_TEXTS)
            pairs = [row.content if isinstance(row.content, tuple) else (row.content,) for row in rows]
            texts = [list(part) for part in zip(*pairs, strict=True)]
            batch = tokenizer(*texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
            narrow(model, teacher, widths, [dict(batch)], keep=config.keep)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder


def why_absent(report: Report, name: str) -> str:
    """Return why a bundle has no row."""
    return next((absent.reason for absent in report.absent if absent.label == name), "it wasn't measured")


def _probe_of(name: str, report: Report) -> Probe:
    row = report.row(name)
    if row is None or row.latency is None:
        return Probe(name=name, failure=why_absent(report, name))
    p50 = row.latency.p50_ms
    return Probe(name=name, p50_ms=p50.value, low_ms=p50.low, size_bytes=row.size_bytes)
