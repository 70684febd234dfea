"""The figures of a report: what was measured of one variant, and of the machine it ran on.

They hold values alone and import nothing that measures: whoever reads a report loads no engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
        cpu_ms_per_text: Processor time per text, summed over all threads.
        energy_mj_per_text: Energy of the processor package; None where the machine has no counter.
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
    """Time from a bare Python to the first answer, with the files in the page cache."""

    import_ms: float
    load_ms: float
    first_answer_ms: float


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

    rows: int
    labelled_rows: int
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

    offline_texts_per_s: float
    paced_gap_ms: float
    paced_p50_ms: float
    paced_p90_ms: float | None
    paced_cpu_ms_per_text: float
    server_target_ms: float
    server_rate_per_s: float | None
    server_p99_ms: float | None
    growth_calls: int
    growth_bytes: int | None
    paced_ns: tuple[int, ...]
    server_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Wall time of whole starts, each in a new process.

    Attributes:
        warm_ms: Each start with every file in the page cache.
        evicted_ms: Each start after the engine's and the model's files were dropped from it; empty where the
            system can't drop them.
        read_bytes: What each of those starts read from the disk: the proof that the files were gone.
    """

    warm_ms: tuple[float, ...]
    evicted_ms: tuple[float, ...]
    read_bytes: tuple[int, ...]


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
    cores: int
    usable_cores: int
    cpu_quota: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
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

    others_cores: float
    steal_share: float
    throttles: int
    temperature_c: float | None
    load_average: float
    warnings: tuple[str, ...]
