"""What a worker answers to two of its requests; the others answer with the values that they measure."""

from dataclasses import dataclass
from typing import Annotated

from mixkd.bench.decode import Count, Positive, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a variant was loaded, and the memory around it; None where the system doesn't tell.

    Attributes:
        import_ns: Importing the engine.
        load_ns: Loading the model.
        first_answer_ns: The first text.
        baseline_rss_bytes: Resident before the engine was imported.
        loaded_rss_bytes: Resident after loading.
        pid: The process id, where the worker runs.
    """

    import_ns: Count
    load_ns: Count
    first_answer_ns: Count
    baseline_rss_bytes: Count | None
    loaded_rss_bytes: Count | None
    pid: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Logits:
    """Answers, bit by bit as they were computed.

    Attributes:
        shape: Of the array: rows and outputs.
        float32: The array's bytes, little-endian, in base64.
    """

    shape: tuple[Count, ...]
    float32: Annotated[str, Range(0, 2**25)]
