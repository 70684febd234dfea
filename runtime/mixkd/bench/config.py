"""How long and how closely to measure."""

from dataclasses import dataclass
from typing import Any

from mixkd.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """What `bench` is asked; the defaults take a minute or two for a small encoder."""

    samples: int = 1024
    """Timed texts per variant, at the least; 662 are needed for a p99, 64 for a p90."""

    min_seconds: float = 0.0
    """Go on timing until each variant was busy for so long, as MLPerf asks of a submission."""

    max_seconds: float | None = None
    """Stop timing after so long in all, once there are samples for a p90; None lets it take its time."""

    block: int = 16
    """Texts that one variant answers in a row before the next variant's turn."""

    curve_samples: int = 48
    """Timed texts per variant and length on the length curve; 0 leaves the curve out."""

    quality_rows: int | None = None
    """Rows that are judged, drawn with the seed; None judges the whole split."""

    judge_seconds: float | None = None
    """Judge fewer rows, evenly spaced, where the slowest variant would take longer; None judges them all."""

    threads: int = 1
    """Threads per call, the same for every engine."""

    resamples: int = 1000
    """Bootstrap draws behind every interval."""

    seed: int = 42
    """Seed of the sample of texts, of the length curve and of the bootstrap."""

    split: str | None = None
    """The split to measure on; None takes test, else validation, else the only one."""

    teacher_int8: bool = True
    """Also measure the teacher quantized like the student: what int8 alone would have given."""

    scenarios: bool = False
    """Also run offline, paced and server arrivals, and count memory growth."""

    paced_samples: int = 128
    """Texts that are answered after an idle gap each."""

    paced_gap_ms: float = 50.0
    """The idle gap."""

    server_target_ms: float = 50.0
    """The p99 that random arrivals must hold."""

    server_seconds: float = 5.0
    """How long each tried rate of arrivals is kept up, or longer, until there are samples for a p99."""

    growth_calls: int = 10_000
    """Varied calls over which memory is watched."""

    growth_limit_s: float = 60.0
    """When to stop them, on a slow variant."""

    cold_starts: int = 0
    """Whole process starts per variant, warm and evicted each; 0 leaves them out."""

    emulated_rows: int = 60
    """Rows that an emulated processor is asked."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("samples", self.samples, 16),
            ("block", self.block, 1),
            ("curve_samples", self.curve_samples, 0),
            ("threads", self.threads, 1),
            ("resamples", self.resamples, 100),
            ("min_seconds", self.min_seconds, 0),
            ("max_seconds", self.max_seconds, 0),
            ("quality_rows", self.quality_rows, 1),
            ("paced_samples", self.paced_samples, 1),
            ("growth_calls", self.growth_calls, 1),
            ("cold_starts", self.cold_starts, 0),
            ("emulated_rows", self.emulated_rows, 1),
        ):
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}: at least {least} is needed")
        for name, length in (
            ("server_target_ms", self.server_target_ms),
            ("paced_gap_ms", self.paced_gap_ms),
        ):
            if not length > 0:
                raise ConfigError(f"{name} is {length}: it must be above 0")
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            raise ConfigError(f"max_seconds is {self.max_seconds}, less than the least, {self.min_seconds}")

    @classmethod
    def quick(cls, **given: Any) -> "BenchConfig":
        """A look, in under half a minute for a small encoder: enough samples for a p90, none for a p99."""
        return cls(**{**QUICK, **given})

    @classmethod
    def full(cls, **given: Any) -> "BenchConfig":
        """Everything: many samples, every scenario, cold starts; a quarter of an hour for a small encoder."""
        return cls(**{**FULL, **given})


QUICK: dict[str, Any] = {
    "samples": 96,
    "max_seconds": 6.0,
    "curve_samples": 0,
    "quality_rows": 300,
    "judge_seconds": 5.0,
    "teacher_int8": False,
}
"""What `--quick` sets."""

FULL: dict[str, Any] = {"samples": 4096, "scenarios": True, "cold_starts": 5}
"""What `--full` sets."""
