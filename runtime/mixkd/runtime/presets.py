"""What a classifier may spend on memory and time."""

from dataclasses import dataclass
from enum import StrEnum


class Preset(StrEnum):
    """The same answers at another price."""

    BALANCED = "balanced"
    """A guest in an app: up to four threads, memory given back after each call."""
    LOW_MEMORY = "low-memory"
    """A small device: one thread, small batches, weights left in the mapped file."""
    THROUGHPUT = "throughput"
    """A machine of its own: all processors, large batches, memory and threads kept ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a preset stands for.

    Attributes:
        max_threads: The most threads that are taken without being asked for; None for all processors.
        batch_tokens: The padded size of a batch, in tokens.
        stay_ready: Keep memory between calls, and threads awake for a moment.
        map_weights: Leave the weights in the mapped file.
    """

    max_threads: int | None
    batch_tokens: int
    stay_ready: bool = False
    map_weights: bool = False


SETTINGS = {
    Preset.BALANCED: Settings(max_threads=4, batch_tokens=2048),
    Preset.LOW_MEMORY: Settings(max_threads=1, batch_tokens=256, map_weights=True),
    Preset.THROUGHPUT: Settings(max_threads=None, batch_tokens=8192, stay_ready=True),
}
