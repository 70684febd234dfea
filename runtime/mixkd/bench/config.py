"""How long and how closely to measure."""

from dataclasses import dataclass
from typing import Any

from mixkd.options import Group, Preset, check_limits, must_be, option

MOST_RESAMPLES = 100_000
"""A hundred times what Efron and Tibshirani (1993) recommend for an interval. `mkd compare` draws as often as
a report says, and the report may be a stranger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """Every choice of a measurement; the defaults take a minute or two for a small encoder."""

    samples: int = option(
        1024,
        "Timed texts per variant, at least; a p90 needs 64, a p99 needs 662.",
        group=Group.MEASUREMENT,
        least=16,
    )
    min_seconds: float = option(
        0.0,
        "Continue until each variant was timed for this many seconds.",
        group=Group.MEASUREMENT,
        least=0,
    )
    max_seconds: float | None = option(
        None,
        "Stop timing after this many seconds, as soon as there are samples for a p90.",
        group=Group.MEASUREMENT,
        otherwise="no limit",
        least=0,
    )
    block: int = option(
        16,
        "Texts that one variant answers before the next variant's turn.",
        group=Group.MEASUREMENT,
        least=1,
    )
    curve_samples: int = option(
        48, "Timed texts per length of the length curve; 0 leaves it out.", group=Group.MEASUREMENT, least=0
    )
    quality_rows: int | None = option(
        None,
        "Rows that are judged, drawn with the seed.",
        group=Group.MEASUREMENT,
        otherwise="the whole split",
        least=1,
    )
    judge_seconds: float | None = option(
        None,
        "Judge fewer rows, evenly spaced, where the slowest variant needs more seconds than this.",
        group=Group.MEASUREMENT,
        otherwise="no limit",
        least=0,
    )
    split: str | None = option(
        None, "The split to measure on.", group=Group.DATA, otherwise="test, else validation"
    )
    threads: int = option(1, "Threads per call, the same for every engine.", group=Group.MEASUREMENT, least=1)
    seed: int = option(
        0, "Seed of the texts, of the arrival times and of the bootstrap.", group=Group.MEASUREMENT, least=0
    )
    resamples: int = option(
        1000,
        "Bootstrap draws behind every interval.",
        group=Group.MEASUREMENT,
        least=100,
        most=MOST_RESAMPLES,
    )
    teacher_int8: bool = option(
        True,
        "Also measure the teacher quantized like the student, to see what int8 alone gives.",
        group=Group.VARIANTS,
    )
    scenarios: bool = option(
        False,
        "Also measure batches, pauses between calls, random arrivals and the growth of memory.",
        group=Group.SCENARIOS,
    )
    paced_samples: int = option(
        128, "Texts that are answered with a pause before each.", group=Group.SCENARIOS, least=1
    )
    paced_gap_ms: float = option(50.0, "The pause, in milliseconds.", group=Group.SCENARIOS, above=0)
    server_target_ms: float = option(
        50.0,
        "The p99 latency that random arrivals must keep, in milliseconds.",
        group=Group.SCENARIOS,
        above=0,
    )
    server_seconds: float = option(
        5.0,
        "Seconds that each tried rate of arrivals is kept up; longer where a p99 needs more samples.",
        group=Group.SCENARIOS,
        least=0,
    )
    growth_calls: int = option(
        10_000, "Calls over which the growth of memory is measured.", group=Group.SCENARIOS, least=1
    )
    growth_limit_s: float = option(
        60.0, "Seconds after which these calls end, on a slow variant.", group=Group.SCENARIOS, least=0
    )
    cold_starts: int = option(
        0,
        "Process starts per variant, with the files in the page cache and without; 0 leaves them out.",
        group=Group.SCENARIOS,
        least=0,
    )
    emulated_rows: int = option(
        60, "Rows that an emulated processor is asked.", group=Group.MEASUREMENT, least=1
    )

    def __post_init__(self) -> None:
        """Refuse what can't be measured."""
        problems = []
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            least = f"at least --min-seconds ({self.min_seconds})"
            problems.append(must_be("max_seconds", least, self.max_seconds))
        check_limits(self, problems)

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
