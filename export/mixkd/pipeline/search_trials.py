"""The short trainings of a search: a shape that a faster one beats in them isn't trained in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixkd.metrics import format_metric
from mixkd.pipeline.search_grid import Candidate, Shape
from mixkd.pipeline.search_measuring import Probe
from mixkd.pipeline.search_outcomes import Outcome, State

MARGIN = 0.005
"""By so much the faster shape must be better: short trainings scatter. A fraction of one."""

FEWEST = 3
"""With fewer shapes nothing is tried: the short trainings would take longer than they save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A shape's short training.

    Attributes:
        shape: The shape.
        p50_ms: Median latency, of the fastest of its candidates, untrained.
        score: The headline metric on the split that chooses.
    """

    shape: Shape
    p50_ms: float
    score: float


def cheapest_first(candidates: Sequence[Candidate], probes: Mapping[str, Probe]) -> dict[Shape, float]:
    """Return the latency of each shape, of the fastest of its candidates, the fastest shape first.

    Args:
        candidates: Those that can be trained.
        probes: What was measured untrained, by the candidate's name.
    """
    times: dict[Shape, float] = {}
    for candidate in candidates:
        p50 = probes[candidate.name].p50_ms
        assert p50 is not None, "a failed candidate can't be trained"
        times[candidate.shape] = min(p50, times.get(candidate.shape, p50))
    return dict(sorted(times.items(), key=lambda item: item[1]))


def is_comparable(shape: Shape) -> bool:
    """Return whether a shape is tried: a part of the teacher; others learn at another pace."""
    return shape.layers is not None


def beaten(trials: Sequence[Trial], *, metric: str) -> dict[Shape, str]:
    """Return the shapes that a faster one beats by more than the margin, and the reason in words.

    Args:
        trials: The short trainings.
        metric: The name of their score.
    """
    found = {}
    for trial in trials:
        faster = [other for other in trials if other.p50_ms < trial.p50_ms]
        best = max(faster, key=lambda other: other.score, default=None)
        if best is not None and best.score > trial.score + MARGIN:
            own, its = (format_metric(metric, one.score) for one in (trial, best))
            found[trial.shape] = (
                f"in a short training {best.shape.name}, which is faster, reaches {its}, not {own}"
            )
    return found


def dropped(
    candidates: Sequence[Candidate], reasons: Mapping[Shape, str], probes: Mapping[str, Probe]
) -> list[Outcome]:
    """Return the results of the candidates whose shapes were beaten."""
    return [
        Outcome(
            name=one.name,
            state=State.DROPPED,
            reason=reasons[one.shape],
            p50_ms=probes[one.name].p50_ms,
            size_bytes=probes[one.name].size_bytes,
        )
        for one in candidates
        if one.shape in reasons
    ]
