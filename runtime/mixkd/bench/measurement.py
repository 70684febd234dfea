"""One measurement as values: what is asked, and what the targets give before anything is derived from it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.config import BenchConfig
from mixkd.bench.report.figures import ColdStart, Scenarios
from mixkd.bench.report.schema import Absent, TargetRecord
from mixkd.bench.sampling import Sample
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.bench.variants import Variant
from mixkd.bench.worker.counters import MemoryReading
from mixkd.bench.worker.replies import Loading
from mixkd.bench.worker.timing import Block
from mixkd.corpus.corpus import Corpus
from mixkd.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, on which texts and where.

    Attributes:
        title: The report's title.
        variants: What to measure, usually the slowest first.
        absent: Variants that couldn't be made, and why.
        sample: The texts.
        corpus: The data they come from.
        task: What the outputs mean.
        labels: The names of the outputs, in the order in which variants are compared; (C,).
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


@dataclass(slots=True)
class Raw:
    """The answers of one worker, filled as the measurement goes on.

    Attributes:
        variant: What ran.
        load: Times and memory around loading.
        blocks: The timed blocks, in turn.
        curve: The timed blocks of texts of one length, by length.
        memory: The reading after the single texts.
        logits: (N, C) on the judged rows, their columns in the variant's own order.
        judged: Positions of those rows among the sample's texts; (N,).
        scenarios: Other ways of calling, where they were asked for.
        cold_start: Whole process starts, where they were asked for.
        smallest_cap_bytes: The least memory cap it survived, on a capped target.
    """

    variant: Variant
    load: Loading
    blocks: list[Block] = field(default_factory=list)
    curve: dict[int, list[Block]] = field(default_factory=dict)
    memory: MemoryReading | None = None
    logits: NDArray[np.float32] | None = None
    judged: NDArray[np.int64] | None = None
    scenarios: Scenarios | None = None
    cold_start: ColdStart | None = None
    smallest_cap_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What one target gave.

    Attributes:
        record: The target as it was found; None where it couldn't be reached or nothing ran there.
        raws: One per measured variant.
        absent: The others.
    """

    record: TargetRecord | None
    raws: tuple[Raw, ...]
    absent: tuple[Absent, ...]
