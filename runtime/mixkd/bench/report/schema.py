"""The report as values: what `report.json` holds, field by field.

Every field of the JSON is a field of a dataclass here or in `figures`, under the same name. `SCHEMA_VERSION`
grows when a field changes its meaning or goes; new fields may come without it.
"""

from dataclasses import dataclass

from mixkd.bench.config import BenchConfig
from mixkd.bench.decode import Amount, Count, Positive
from mixkd.bench.report.figures import (
    ColdStart,
    Environment,
    Evidence,
    Interval,
    Latency,
    Memory,
    Noise,
    Quality,
    Samples,
    Scenarios,
    Start,
)

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured variant on one target.

    Attributes:
        label: The variant, such as ``student-int8``.
        runtime: The engine.
        precision: Number format of the weights.
        target: Where it ran.
        evidence: What the row may be used for.
        size_bytes: The weight files.
        speed_up: The median latency of the target's first variant over this one's; ``device`` only.
        quality: Against the labels and the reference.
        logit_difference: The largest from the same variant on the first target; None there.
        latency: None where the target's clock says nothing about a device.
        start: None where there is no latency.
        memory: None where the target's memory says nothing about a device.
        samples: What `latency` is derived from.
        scenarios: Other ways of calling; None where they weren't asked for.
        cold_start: Whole process starts; None where they weren't asked for.
    """

    label: str
    runtime: str
    precision: str
    target: str
    evidence: Evidence
    size_bytes: Count
    speed_up: Interval | None
    quality: Quality
    logit_difference: Amount | None
    latency: Latency | None
    start: Start | None
    memory: Memory | None
    samples: Samples | None
    scenarios: Scenarios | None
    cold_start: ColdStart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One factor of the speed-up: `runtime`, `architecture` or `precision`, from one variant to another."""

    name: str
    slower: str
    faster: str
    speed_up: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A variant that couldn't be measured, where, and why; without a label the whole target."""

    label: str
    reason: str
    target: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """A target as it was found.

    Attributes:
        name: As `--target` takes it.
        evidence: What its rows may be used for.
        environment: The machine and the software.
        noise: What else it did while latency was taken; None where nothing was timed.
    """

    name: str
    evidence: Evidence
    environment: Environment
    noise: Noise | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """The texts that were answered.

    Attributes:
        name: The data's name.
        split: The split.
        rows: Its rows.
        judged_rows: The most rows that a variant was judged on.
        sha256: The split's fingerprint.
        tokens_p50: Median tokens per text, after truncation.
        tokens_p90: The 90th percentile.
        tokens_longest: The longest text.
    """

    name: str
    split: str
    rows: Count
    judged_rows: Count
    sha256: str
    tokens_p50: Count
    tokens_p90: Count
    tokens_longest: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything one run of `mkd bench` found.

    Attributes:
        created: Time of the run, ISO 8601, UTC.
        title: What was measured, such as the bundle's name.
        task: What the outputs mean.
        metric: The metric that `quality.headline` is, as `mixkd.metrics` names it.
        labels: Number of outputs.
        max_length: Tokens per text.
        reference: The variant that agreement and speed-up refer to; None with a single variant.
        rows: The measured variants.
        absent: The others.
        steps: The speed-up's factors.
        data: The texts.
        config: The resolved options.
        targets: Where it was measured; the first is what the others are compared with.
        method: How the numbers were taken, in sentences.
    """

    created: str
    title: str
    task: str
    metric: str
    labels: Positive
    max_length: Positive
    reference: str | None
    rows: tuple[Row, ...]
    absent: tuple[Absent, ...]
    steps: tuple[Step, ...]
    data: DataRecord
    config: BenchConfig
    targets: tuple[TargetRecord, ...]
    method: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("it has no target")

    @property
    def metric_name(self) -> str:
        """The metric's name in words."""
        return self.metric.replace("_", " ")

    def row(self, label: str) -> Row | None:
        """Return the row of a variant on the first target, or None."""
        first = self.targets[0].name
        return next((row for row in self.rows if row.label == label and row.target == first), None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why latencies are unreliable, with the target's name where there are several."""
        several = len(self.targets) > 1
        return tuple(
            f"{target.name}: {warning}" if several else warning
            for target in self.targets
            for warning in (target.noise.warnings if target.noise else ())
        )
