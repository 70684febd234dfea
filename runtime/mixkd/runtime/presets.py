"""What a classifier may spend on memory and time."""

from enum import StrEnum
from typing import NamedTuple


class Preset(StrEnum):
    """What to spend on memory and time.

    int8 activations are scaled over the whole batch, so that batching moves the answers: of 750 intents in
    batches of 128 to 8,192 tokens, 1 % got another label than alone, for 1.6 times the speed at best. Only
    `THROUGHPUT` makes that trade; elsewhere an int8 answer never depends on its neighbours.
    """

    BALANCED = "balanced"
    """A guest in an app: up to four threads, memory given back after each call."""
    LOW_MEMORY = "low-memory"
    """A small device: one thread, weights left in the mapped file.

    The weights are read from the file for as long as the classifier lives: put a new bundle in its place by
    renaming, as `mkd export` does. Whoever overwrites the file changes the answers, and whoever cuts it short
    ends the process.
    """
    THROUGHPUT = "throughput"
    """A machine of its own: all processors, int8 in batches too, memory and threads kept ready."""


class Settings(NamedTuple):
    """What a preset stands for.

    Attributes:
        max_threads: The most threads that are taken without being asked for; None for all processors.
        batch_tokens: The padded size of a batch, in tokens; beyond some 512 a batch gets slower, not faster.
        batch_int8: Batch int8 too, though an answer then depends on its neighbours.
        stay_ready: Keep memory between calls, and threads awake for a moment.
        map_weights: Leave the weights in the mapped file.
        lean_hash: Verify the files without OpenSSL: 4 MB less, 70 ms more.
    """

    max_threads: int | None
    batch_tokens: int
    batch_int8: bool = False
    stay_ready: bool = False
    map_weights: bool = False
    lean_hash: bool = False


SETTINGS = {
    Preset.BALANCED: Settings(max_threads=4, batch_tokens=512),
    Preset.LOW_MEMORY: Settings(max_threads=1, batch_tokens=256, map_weights=True, lean_hash=True),
    Preset.THROUGHPUT: Settings(max_threads=None, batch_tokens=512, batch_int8=True, stay_ready=True),
}
