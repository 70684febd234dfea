"""One measurement as asked: which variants answer which texts, and how closely they are looked at."""

from dataclasses import dataclass

from mixkd.bench.config import BenchConfig
from mixkd.bench.report.schema import Absent
from mixkd.bench.sampling import Sample
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.bench.variants import Variant
from mixkd.corpus.corpus import Corpus
from mixkd.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `measure` is given.

    Attributes:
        title: The report's title.
        variants: What to measure, slowest first by custom.
        absent: Variants that couldn't even be made, and why.
        sample: The texts.
        corpus: Where they come from, for the record.
        task: What the outputs mean.
        labels: The answers' names, in the order in which variants are compared; (C,).
        config: How long and how closely.
        targets: Where to measure; the first is what the others are compared with.
    """

    title: str
    variants: tuple[Variant, ...]
    absent: tuple[Absent, ...] = ()
    sample: Sample
    corpus: Corpus
    task: Task
    labels: tuple[str, ...]
    config: BenchConfig
    targets: tuple[Target, ...] = (LocalTarget(),)
