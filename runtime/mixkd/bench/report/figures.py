"""The figures of a report: what was measured of one variant, and of the machine it ran on.

They hold values alone and import nothing that measures: whoever reads a report loads no engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mixkd.bench.decode import Amount, Count, Positive


class Evidence(StrEnum):
    """What a row may be used for."""

    DEVICE = "device"
    """Latency, memory and answers are the device's own."""

    CAPPED_HOST = "capped-host"
    """Memory and answers hold for a device of these limits; latency is this processor's, not the device's."""

    EMULATED = "emulated"
    """Answers only: latency and memory of an emulator say nothing about the device."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the 95 % interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Latency of the timed texts with `low_tokens` to `high_tokens` tokens."""

    low_tokens: Count
    high_tokens: Count
    samples: Positive
    p50_ms: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Median latency of texts made to have exactly `tokens` tokens, or of the longest text of the split."""

    tokens: Count
    samples: Positive
    p50_ms: Amount


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
        cpu_ms_per_text: Processor time per text, summed over all threads.
        energy_mj_per_text: Energy of the processor package; None where the machine has no counter.
        buckets: By length.
        curve: Against length.
    """

    samples: Positive
    p50_ms: Interval
    p90_ms: Amount | None
    p99_ms: Amount | None
    mean_ms: Amount
    min_ms: Amount
    max_ms: Amount
    tokenize_p50_ms: Amount
    cpu_ms_per_text: Amount
    energy_mj_per_text: Amount | None
    buckets: tuple[Bucket, ...]
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Time from a bare Python to the first answer, with the files in the page cache."""

    import_ms: Amount
    load_ms: Amount
    first_answer_ms: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory of the variant's process; None where the system has no such figure.

    Attributes:
        baseline_bytes: Bare Python with the measuring code, before the engine is imported.
        loaded_bytes: After loading, before the first text.
        peak_rss_bytes: The most that was resident, up to the end of the single texts.
        uss_bytes: Private to the process at that moment.
        pss_bytes: The same with each shared page divided by the processes that share it.
        smallest_cap_bytes: The least memory cap under which it loaded and answered; capped targets only.
    """

    baseline_bytes: Count | None
    loaded_bytes: Count | None
    peak_rss_bytes: Count | None
    uss_bytes: Count | None
    pss_bytes: Count | None
    smallest_cap_bytes: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Every sample, in the order taken; equal positions of two rows are the same text.

    Attributes:
        text: Position of the text among the judged rows.
        total_ns: From text to logits.
        tokenize_ns: The part before the model.
        cpu_ns: Processor time of each block.
    """

    text: tuple[Count, ...]
    total_ns: tuple[Positive, ...]
    tokenize_ns: tuple[Count, ...]
    cpu_ns: tuple[Count, ...]

    def __post_init__(self) -> None:
        if not len(self.text) == len(self.total_ns) == len(self.tokenize_ns):
            raise ValueError("text, total_ns and tokenize_ns must have the same length")
        if not self.cpu_ns or len(self.total_ns) % len(self.cpu_ns) or not self.total_ns:
            raise ValueError(
                f"{len(self.total_ns)} samples can't be cut into {len(self.cpu_ns)} equal blocks"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Answers on the judged rows; None where the data can't give the figure.

    Attributes:
        rows: Judged rows.
        labelled_rows: Those with a label.
        headline: The task's main metric, `mixkd.metrics.HEADLINE`: accuracy, micro F1 or Pearson's r.
        metrics: Every metric of the task, as all stages compute them.
        macro_f1: Single-label tasks: the mean F1 of the classes.
        agreement: Share of rows answered as the reference answers, right or wrong; not for a regression.
        kl_nats: Kullback-Leibler divergence from the reference's probabilities, mean over rows.
    """

    rows: Count
    labelled_rows: Count
    headline: Interval | None
    metrics: Mapping[str, float]
    macro_f1: Interval | None = None
    agreement: Interval | None = None
    kl_nats: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """Latency and memory under other ways of calling than one text after the other.

    Attributes:
        offline_texts_per_s: All texts handed over at once.
        paced_gap_ms: The idle time before each paced text.
        paced_p50_ms: Median with the gaps.
        paced_p90_ms: None with fewer than 64 samples.
        paced_cpu_ms_per_text: Processor time per paced text.
        server_target_ms: The p99 that must hold.
        server_rate_per_s: The highest tried rate of Poisson arrivals that holds it; None where none does.
        server_p99_ms: The p99 at that rate, waiting included.
        growth_calls: Varied calls behind the growth.
        growth_bytes: Resident memory after them, less before.
        paced_ns: The paced samples.
        server_ns: The samples at that rate.
    """

    offline_texts_per_s: Amount
    paced_gap_ms: Amount
    paced_p50_ms: Amount
    paced_p90_ms: Amount | None
    paced_cpu_ms_per_text: Amount
    server_target_ms: Amount
    server_rate_per_s: Amount | None
    server_p99_ms: Amount | None
    growth_calls: Count
    growth_bytes: int | None
    paced_ns: tuple[Count, ...]
    server_ns: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Wall time of whole starts, each in a new process.

    Attributes:
        warm_ms: Each start with every file in the page cache.
        evicted_ms: Each start after the engine's and the model's files were dropped from it; empty where the
            system can't drop them.
        read_bytes: What each of those starts read from the disk: the proof that the files were gone.
    """

    warm_ms: tuple[Amount, ...]
    evicted_ms: tuple[Amount, ...]
    read_bytes: tuple[Count, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine and the software; None where the system has no such figure.

    Attributes:
        system: Kernel and its release.
        machine: The instruction set family, such as ``x86_64``.
        processor: The processor's name.
        isa: The vector instructions that decide the speed, and for int8 also the answers.
        cores: Processors the system has.
        usable_cores: Processors this process may run on.
        cpu_quota: Processors' worth of time that the cgroup grants; None is all of them.
        memory_bytes: Memory of the system.
        memory_limit_bytes: The cgroup's cap; None is none.
        governor: The frequency governor of the first processor.
        versions: Python and the packages that matter.
    """

    system: str
    machine: str
    processor: str
    isa: tuple[str, ...]
    cores: Positive
    usable_cores: Positive
    cpu_quota: Amount | None
    memory_bytes: Count | None
    memory_limit_bytes: Count | None
    governor: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What else the machine did while latency was taken.

    Attributes:
        others_cores: Processors that other processes kept busy, on average.
        steal_share: Share of the machine's time that the hypervisor took.
        throttles: Thermal slow-downs.
        temperature_c: The hottest sensor at the end; None where there is none.
        load_average: Runnable processes over the last minute.
        warnings: Why the latencies are unreliable; empty when they aren't.
    """

    others_cores: Amount
    steal_share: float
    throttles: Count
    temperature_c: float | None
    load_average: Amount
    warnings: tuple[str, ...]
