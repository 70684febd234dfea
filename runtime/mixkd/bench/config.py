"""How long and how closely to measure."""

from dataclasses import dataclass
from typing import Any

from mixkd.errors import ConfigError
from mixkd.options import Preset, option


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """Every choice of a measurement; the defaults take a minute or two for a small encoder."""

    samples: int = option(1024, "Timed texts per variant, at least; a p90 needs 64, a p99 needs 662.")
    min_seconds: float = option(0.0, "Continue until each variant was timed for so many seconds.")
    max_seconds: float | None = option(
        None, "Stop timing after so many seconds, as soon as there are samples for a p90."
    )
    block: int = option(16, "Texts that one variant answers before the next variant's turn.")
    curve_samples: int = option(48, "Timed texts per length of the length curve; 0 leaves it out.")
    quality_rows: int | None = option(None, "Rows that are judged, drawn with the seed [the whole split].")
    judge_seconds: float | None = option(
        None, "Judge fewer rows, evenly spaced, where the slowest variant needs more seconds than this."
    )
    split: str | None = option(None, "The split to measure on [test, else validation].")
    threads: int = option(1, "Threads per call, the same for every engine.")
    seed: int = option(0, "Seed of the texts, of the arrival times and of the bootstrap.")
    resamples: int = option(1000, "Bootstrap draws behind every interval.")
    teacher_int8: bool = option(
        True, "Also measure the teacher quantized like the student, to see what int8 alone gives."
    )
    scenarios: bool = option(
        False, "Also measure batches, pauses between calls, random arrivals and the growth of memory."
    )
    paced_samples: int = option(128, "Texts that are answered after a pause each.")
    paced_gap_ms: float = option(50.0, "The pause, in milliseconds.")
    server_target_ms: float = option(50.0, "The p99 latency that random arrivals must keep, in milliseconds.")
    server_seconds: float = option(
        5.0, "Seconds that each tried rate of arrivals is kept up; longer where a p99 needs more samples."
    )
    growth_calls: int = option(10_000, "Calls over which the growth of memory is measured.")
    growth_limit_s: float = option(60.0, "Seconds after which these calls end, on a slow variant.")
    cold_starts: int = option(
        0, "Process starts per variant, with the files in the page cache and without; 0 leaves them out."
    )
    emulated_rows: int = option(60, "Rows that an emulated processor is asked.")

    def __post_init__(self) -> None:
        """Refuse what can't be measured."""
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ConfigError(f"{_flag(name)} must be at least {least}, not {value}")
        for name in _ABOVE_0:
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{_flag(name)} must be above 0, not {value}")
        if self.resamples > MOST_RESAMPLES:
            raise ConfigError(f"--resamples must be at most {MOST_RESAMPLES}, not {self.resamples}")
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            raise ConfigError(
                f"--max-seconds must be at least --min-seconds ({self.min_seconds}), not {self.max_seconds}"
            )

    @classmethod
    def quick(cls, **given: Any) -> "BenchConfig":
        """Return the preset `--quick`, with some values given."""
        return cls(**{**PRESETS["quick"].values, **given})

    @classmethod
    def full(cls, **given: Any) -> "BenchConfig":
        """Return the preset `--full`, with some values given."""
        return cls(**{**PRESETS["full"].values, **given})


PRESETS = {
    "quick": Preset(
        "Measure in under half a minute: enough samples for a p90, none for a p99.",
        {
            "samples": 96,
            "max_seconds": 6.0,
            "curve_samples": 0,
            "quality_rows": 300,
            "judge_seconds": 5.0,
            "teacher_int8": False,
        },
    ),
    "full": Preset(
        "Measure every scenario, cold starts and many samples: a quarter of an hour.",
        {"samples": 4096, "scenarios": True, "cold_starts": 5},
    ),
}
"""What one flag sets; the times hold for a small encoder on two cores."""

MOST_RESAMPLES = 100_000
"""A hundred times what Efron and Tibshirani (1993) recommend for an interval. `mkd compare` draws as often as
a report says, and the report may be a stranger's."""

_LEAST = {
    "samples": 16,
    "block": 1,
    "curve_samples": 0,
    "threads": 1,
    "resamples": 100,
    "min_seconds": 0,
    "max_seconds": 0,
    "quality_rows": 1,
    "judge_seconds": 0,
    "paced_samples": 1,
    "server_seconds": 0,
    "growth_calls": 1,
    "growth_limit_s": 0,
    "cold_starts": 0,
    "emulated_rows": 1,
}
_ABOVE_0 = ("server_target_ms", "paced_gap_ms")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
