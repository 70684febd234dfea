"""How long and how closely to measure."""

from dataclasses import dataclass
from typing import Any

from mixkd.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """What `bench` is asked; the defaults take a minute or two for a small encoder."""

    samples: int = 1024
    """Timed texts per variant; 662 are needed for a p99, 64 for a p90."""

    block: int = 16
    """Texts that one variant answers in a row before the next variant's turn."""

    curve_samples: int = 48
    """Timed texts per variant and length on the length curve; 0 leaves the curve out."""

    quality_rows: int | None = None
    """Rows that are judged, drawn with the seed; None judges the whole split."""

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

    server_target_ms: float = 50.0
    """The p99 that random arrivals must hold."""

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
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}: at least {least} are needed")
        if self.quality_rows is not None and self.quality_rows < 1:
            raise ConfigError(f"quality_rows is {self.quality_rows}: judge at least one row, or leave it out")

    @classmethod
    def quick(cls, **fields: int | str | None) -> "BenchConfig":
        """A look, in under half a minute: enough samples for a p90, none for a p99."""
        values: dict[str, Any] = {"samples": 96, "curve_samples": 0, "quality_rows": 300}
        return cls(**{**values, "teacher_int8": False, **fields})

    @classmethod
    def full(cls, **fields: int | str | None) -> "BenchConfig":
        """Everything: many samples, every scenario, cold starts; some ten minutes for a small encoder."""
        values: dict[str, Any] = {"samples": 4096, "scenarios": True, "cold_starts": 5, **fields}
        return cls(**values)
