"""The options of `mkd bench` that say how long and how closely to measure."""

from dataclasses import asdict, dataclass

from mixkd.bench.config import BenchConfig
from mixkd.errors import ConfigError
from mixkd.options import option


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Fields of `BenchConfig`, None where the preset decides."""

    samples: int | None = option(None, "Timed texts per variant, at the least [1024; quick 96, full 4096].")
    min_seconds: float | None = option(None, "Go on until each variant was busy for so long [0].")
    max_seconds: float | None = option(
        None, "Stop timing after so long, once there are samples for a p90 [no limit; quick 6]."
    )
    block: int | None = option(None, "Texts that one variant answers before the next one's turn [16].")
    curve_samples: int | None = option(
        None, "Timed texts per length of the length curve, 0 for none [48; quick 0]."
    )
    quality_rows: int | None = option(None, "Rows that are judged [the whole split; quick 300].")
    judge_seconds: float | None = option(
        None, "Judge fewer rows where the slowest variant would take longer [no limit; quick 5]."
    )
    split: str | None = option(None, "The split to measure on [test, else validation].")
    threads: int | None = option(None, "Threads per call, the same for every engine [1].")
    seed: int | None = option(None, "Seed of the texts and of the bootstrap [42].")
    resamples: int | None = option(None, "Bootstrap draws behind every interval [1000].")
    teacher_int8: bool | None = option(None, "Also measure the teacher quantized [yes; quick no].")
    scenarios: bool | None = option(
        None, "Also call all at once, with pauses and at random times, and watch memory grow [no; full yes]."
    )
    paced_samples: int | None = option(None, "Texts answered after an idle gap each [128].")
    paced_gap_ms: float | None = option(None, "The idle gap [50].")
    server_target_ms: float | None = option(None, "The p99 that random arrivals must hold [50].")
    server_seconds: float | None = option(None, "How long each tried rate of arrivals is kept up [5].")
    growth_calls: int | None = option(None, "Calls over which memory is watched [10000].")
    growth_limit_s: float | None = option(None, "When to stop them, on a slow variant [60].")
    cold_starts: int | None = option(None, "Process starts per variant, warm and evicted each [0; full 5].")
    emulated_rows: int | None = option(None, "Rows that an emulated processor is asked [60].")

    def config(self, *, quick: bool, full: bool) -> BenchConfig:
        """Return the preset with what was given over it.

        Raises:
            ConfigError: If both presets are asked for, or a value is impossible.
        """
        if quick and full:
            raise ConfigError("--quick and --full exclude each other: give one")
        make = BenchConfig.quick if quick else BenchConfig.full if full else BenchConfig
        return make(**{name: value for name, value in asdict(self).items() if value is not None})
