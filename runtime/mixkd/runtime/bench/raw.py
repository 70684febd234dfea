"""What one worker gave, before anything is derived from it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixkd.runtime.bench.timing import Block
from mixkd.runtime.bench.variants import Variant


@dataclass(slots=True)
class Raw:
    """The answers of one worker, filled as the measurement goes on.

    Attributes:
        variant: What ran.
        load: Times and memory around loading.
        blocks: The timed blocks, in turn.
        curve: The timed blocks of texts of one length, by length.
        memory: The reading after the single texts.
        logits: (N, C) on the judged rows.
    """

    variant: Variant
    load: dict[str, Any]
    blocks: list[Block] = field(default_factory=list)
    curve: dict[int, list[Block]] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    logits: NDArray[np.float32] | None = None
