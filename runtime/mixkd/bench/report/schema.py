"""The report as values: what `report.json` holds, field by field, and how it is written.

`SCHEMA_VERSION` grows when a field changes its meaning or goes; new fields may come without it.
Every field of the JSON is a field of one of the dataclasses here, under the same name.
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from mixkd.bench.drive.cold import ColdStart
from mixkd.bench.drive.environment import Environment
from mixkd.bench.drive.noise import Noise
from mixkd.bench.drive.scenario_runs import Scenarios
from mixkd.bench.report.intervals import Interval
from mixkd.bench.report.quality import Quality

SCHEMA_VERSION = 1
REPORT_FILE = "report.json"

_NUMBERS = re.compile(r"\[\s+-?\d+(?:,\s+-?\d+)*\s+\]")

METHOD = (
    "Each variant runs in a process of its own, started for this report, with {threads} thread{s} per call "
    "for every engine. Latency is the time from one text to its logits, tokenization included, read from one "
    "monotonic clock; tokenization is also split out.",
    "ONNX variants are what an export gives, graph rewrites included; PyTorch runs as transformers loads it, "
    "in eval and inference mode with SDPA attention.",
    "The timed texts are drawn from the {split} split with seed {seed}, in its own mix of lengths. Variants "
    "take turns in blocks of {block} texts (A B A B, the order turning each round) while the others wait; "
    "every input length is warmed first; the garbage collector rests during a block. All samples are in "
    "report.json.",
    "p90 is given from 64 samples on, p99 from 662 (MLPerf's rule); a dash means too few. Intervals cover "
    "95 %: bootstrap over whole blocks for latencies and ratios, Wilson for shares.",
    "Peak memory is the process's high-water mark of resident memory (VmHWM) after answering texts one at a "
    "time, Python and the engine included. Size is that of the weight files alone: the .onnx file (and "
    "external data), or the .safetensors; neither the tokenizer nor the packages are counted.",
    "Evidence: on a device everything is the device's own; under a capped host memory and answers are, but "
    "latency is a share of this processor and no device's; an emulated processor shows answers alone.",
    "Accuracy and agreement are taken on {rows} rows. int8 variants answer them one text at a time, as an "
    "app does, because a batch changes the scale of dynamic quantization.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Latency of the timed texts with `low_tokens` to `high_tokens` tokens."""

    low_tokens: int
    high_tokens: int
    samples: int
    p50_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Median latency of texts made to have exactly `tokens` tokens, or of the longest text of the split."""

    tokens: int
    samples: int
    p50_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Single-stream latency: one text after the other.

    Attributes:
        samples: Timed texts.
        p50_ms: Median with its interval.
        p90_ms: None with fewer than 64 samples.
        p99_ms: None with fewer than 662 samples.
        mean_ms: Mean.
        min_ms: Fastest text.
        max_ms: Slowest text.
        tokenize_p50_ms: Median of the part before the model; contained in `p50_ms`.
        cpu_ms_per_text: Processor time, all threads: what a battery pays.
        energy_mj_per_text: Energy of the processor package; None where the machine doesn't tell.
        buckets: By length.
        curve: Against length.
    """

    samples: int
    p50_ms: Interval
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float
    min_ms: float
    max_ms: float
    tokenize_p50_ms: float
    cpu_ms_per_text: float
    energy_mj_per_text: float | None
    buckets: tuple[Bucket, ...]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How long the process takes from a bare Python to its first answer, files in the page cache."""

    import_ms: float
    load_ms: float
    first_answer_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory of the variant's process; None where the system doesn't tell.

    Attributes:
        baseline_bytes: Bare Python with the measuring code, before the engine is imported.
        loaded_bytes: After loading, before the first text.
        peak_rss_bytes: The most that was resident, up to the end of the single texts.
        uss_bytes: Private to the process at that moment.
        pss_bytes: With shared pages divided by their sharers.
        smallest_cap_bytes: The least memory cap under which it loaded and answered; capped targets only.
    """

    baseline_bytes: int | None
    loaded_bytes: int | None
    peak_rss_bytes: int | None
    uss_bytes: int | None
    pss_bytes: int | None
    smallest_cap_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Every sample, in the order taken; equal positions of two rows are the same text.

    Attributes:
        text: Position of the text among the judged rows.
        total_ns: From text to logits.
        tokenize_ns: The part before the model.
        cpu_ns: Processor time of each block.
    """

    text: tuple[int, ...]
    total_ns: tuple[int, ...]
    tokenize_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured variant on one target.

    Attributes:
        label: The variant, such as ``student-int8``.
        runtime: The engine.
        precision: Number format of the weights.
        target: Where it ran.
        evidence: ``device``, ``capped-host`` (no latency claim) or ``emulated`` (answers only).
        size_bytes: The weight files.
        speed_up: The median latency of the target's first variant over this one's; ``device`` only.
        quality: Against the labels and the reference.
        logit_difference: The largest from the same variant on the first target; None there.
        latency: None where the target has no honest clock.
        start: None where there is no latency.
        memory: None where the target has no honest memory.
        samples: What `latency` is derived from.
        scenarios: Other ways of calling; None where they weren't asked for.
        cold_start: Whole process starts; None where they weren't asked for.
    """

    label: str
    runtime: str
    precision: str
    target: str
    evidence: str
    size_bytes: int
    speed_up: Interval | None
    quality: Quality
    logit_difference: float | None
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
class Place:
    """A target as it was found.

    Attributes:
        name: As `--target` takes it.
        evidence: What its rows may be used for.
        environment: The machine and the software.
        noise: What else it did while latency was taken; None where nothing was timed.
    """

    name: str
    evidence: str
    environment: Environment
    noise: Noise | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything one run of `mkd bench` found.

    Attributes:
        created: Time of the run, ISO 8601, UTC.
        title: What was measured, such as the bundle's name.
        task: What the outputs mean.
        metric: The name of `quality.headline`.
        labels: Number of outputs.
        max_length: Tokens per text.
        reference: The variant that agreement and speed-up refer to; None with a single variant.
        rows: The measured variants.
        absent: The others.
        steps: The speed-up's factors.
        data: Name, split, rows, sha256, and tokens per text (p50, p90, longest).
        config: The resolved options.
        places: Where it was measured; the first is what the others are compared with.
        method: How the numbers were taken, in sentences.
    """

    created: str
    title: str
    task: str
    metric: str
    labels: int
    max_length: int
    reference: str | None
    rows: tuple[Row, ...]
    absent: tuple[Absent, ...]
    steps: tuple[Step, ...]
    data: dict[str, Any]
    config: dict[str, Any]
    places: tuple[Place, ...]
    method: tuple[str, ...]

    def row(self, label: str) -> Row | None:
        """Return the row of a variant on the first target, or None."""
        first = self.places[0].name
        return next((row for row in self.rows if row.label == label and row.target == first), None)

    @property
    def first_rows(self) -> tuple[Row, ...]:
        """The rows of the first target."""
        return tuple(row for row in self.rows if row.target == self.places[0].name)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why latencies may not be believed, by target where there are several."""
        several = len(self.places) > 1
        return tuple(
            f"{place.name}: {warning}" if several else warning
            for place in self.places
            for warning in (place.noise.warnings if place.noise else ())
        )

    def to_json(self) -> str:
        """Return the JSON text of `report.json`."""
        body = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)
        # A thousand samples on a thousand lines help nobody: lists of numbers stand on one.
        return _NUMBERS.sub(lambda match: " ".join(match.group().split()), text) + "\n"
