"""The temperature of a bundle's scores: fitted on labelled texts, and kept in the graph.

The graph multiplies its logits by one number, `INVERSE_TEMPERATURE`, so whoever runs the graph gets the
calibrated scores: Python, Node, a browser, C. Temperature scaling is from Guo et al., On Calibration of
Modern Neural Networks, ICML 2017, section 4.2.
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import BundleError
from mixkd.metrics import calibration_error

INVERSE_TEMPERATURE = "inverse_temperature"
"""The initializer's name: float32, of shape (1,)."""

LIMITS = (0.05, 20.0)
"""What a temperature may be. Beyond, the texts tell none: all are right, or none better than chance."""

_HALVINGS = 50
_LEAST = 1e-45
"""The least float32 above zero: a probability that vanished was below it."""

# As protobuf writes it: field 8, the name; field 9, four bytes of numbers.
_NAME = INVERSE_TEMPERATURE.encode()
_BEFORE = b"\x42" + bytes([len(_NAME)]) + _NAME + b"\x4a\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a temperature does to the scores of some texts.

    Attributes:
        texts: The number of texts.
        ece_before: The expected calibration error with the scores as they were; a fraction of one.
        ece_after: The same with the temperature.
        loss_before: The mean cross-entropy with the scores as they were, in nats.
        loss_after: The same with the temperature.
    """

    texts: int
    ece_before: float
    ece_after: float
    loss_before: float
    loss_after: float


@dataclass(frozen=True, slots=True)
class Scored:
    """Texts as a bundle scores them.

    Attributes:
        logs: (N, C) logarithms of the probabilities.
        target: (N,) the column of each text's label.
    """

    logs: NDArray[np.float64]
    target: NDArray[np.intp]

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], target: Iterable[int]) -> "Scored":
        """Take probabilities, (N, C), and the column of each label."""
        logs = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
        return cls(logs, np.fromiter(target, np.intp))

    def part(self, start: int) -> "Scored":
        """Return every second text."""
        return Scored(self.logs[start::2], self.target[start::2])

    def slope(self, inverse: float) -> float:
        """Return the derivative of `loss` by the inverse temperature; it grows with it."""
        shares = _softmax(self.logs * inverse)
        return float(np.mean((shares * self.logs).sum(axis=1) - self._own(self.logs)))

    def loss(self, temperature: float) -> float:
        """Return the mean cross-entropy at a temperature, in nats."""
        shares = _softmax(self.logs / temperature)
        return float(-np.mean(np.log(np.maximum(self._own(shares), _LEAST))))

    def fit(self, temperature: float) -> Fit:
        """Compare the scores at a temperature with those as they are."""
        right = self.logs.argmax(axis=1) == self.target
        return Fit(
            texts=len(self.target),
            ece_before=calibration_error(self.logs, right),
            ece_after=calibration_error(self.logs / temperature, right),
            loss_before=self.loss(1.0),
            loss_after=self.loss(temperature),
        )

    def _own(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = values[np.arange(len(self.target)), self.target]
        return found


def best_temperature(scored: Scored) -> float | None:
    """Return the temperature of the least cross-entropy; None where it would be beyond `LIMITS`.

    The loss is convex in the inverse temperature: its slope is halved down to zero.
    """
    low, high = (math.log(1 / limit) for limit in reversed(LIMITS))
    if scored.slope(math.exp(low)) >= 0 or scored.slope(math.exp(high)) <= 0:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if scored.slope(math.exp(middle)) < 0 else (low, middle)
    return math.exp(-(low + high) / 2)


def fit_held_out(scored: Scored) -> Fit | None:
    """Fit on each half of the texts, and judge on the other; None where a half tells no temperature."""
    judged = []
    for half in (0, 1):
        temperature = best_temperature(scored.part(half))
        if temperature is None:
            return None
        judged.append((scored.part(1 - half), temperature))
    logs = np.concatenate([part.logs / temperature for part, temperature in judged])
    whole = Scored(logs, np.concatenate([part.target for part, _ in judged]))
    as_it_was, after = scored.fit(1.0), whole.fit(1.0)
    return Fit(
        texts=after.texts,
        ece_before=as_it_was.ece_before,
        ece_after=after.ece_after,
        loss_before=as_it_was.loss_before,
        loss_after=after.loss_after,
    )


def has_temperature(graph: Path) -> bool:
    """Return whether an ONNX file has a temperature that can be changed."""
    return graph.read_bytes().count(_BEFORE) == 1


def scale_temperature(graph: Path, temperature: float) -> None:
    """Multiply the temperature of an ONNX file, which nobody else reads yet.

    Args:
        graph: A file that `mkd export` wrote.
        temperature: The factor.

    Raises:
        BundleError: If the file has no temperature.
    """
    content = graph.read_bytes()
    if content.count(_BEFORE) != 1:
        raise BundleError(f"{graph} has no temperature: export the bundle again")
    place = content.index(_BEFORE) + len(_BEFORE)
    (inverse,) = struct.unpack_from("<f", content, place)
    with graph.open("r+b") as file:
        file.seek(place)
        file.write(struct.pack("<f", inverse / temperature))


def _softmax(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares
