"""The results of a search: which candidates are skipped, which are Pareto-optimal, which is best; a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mixkd.bench.render.cells import NOTHING, megabytes, milliseconds
from mixkd.bench.render.text import align
from mixkd.metrics import format_metric
from mixkd.pipeline.search_grid import SearchConfig
from mixkd.pipeline.search_measuring import Probe


class State(StrEnum):
    """What was done with a candidate."""

    SKIPPED = "skipped"
    """Already untrained it exceeds a limit, and training changes neither its speed nor its size."""

    DROPPED = "dropped"
    """In a short training a faster shape was better."""

    FAILED = "failed"
    """It couldn't be made or measured."""

    MEASURED = "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a candidate.

    Attributes:
        name: The candidate.
        state: What was done with it.
        reason: Which limit it exceeds, or what failed; None otherwise.
        p50_ms: Median latency: of the untrained model where it was skipped or dropped, else of the bundle.
        size_bytes: Size of the ONNX file, of the same.
        score: The main metric on the split that chooses; None where it wasn't trained.
        test_score: The same on the test split; None also where the test split chooses.
        peak_rss_bytes: Peak memory of its process.
        pareto: Whether no other candidate is at least as good in score, latency and size, and better in one.
    """

    name: str
    state: State
    reason: str | None = None
    p50_ms: float | None = None
    size_bytes: int | None = None
    score: float | None = None
    test_score: float | None = None
    peak_rss_bytes: int | None = None
    pareto: bool = False

    @property
    def fits(self) -> bool:
        """Whether it was trained and is within both limits."""
        return self.state is State.MEASURED and self.reason is None


def drop_out(probe: Probe, limits: SearchConfig) -> Outcome | None:
    """Return the result of a candidate that needn't be trained; None if it may be within the limits."""
    if probe.failure is not None:
        return Outcome(name=probe.name, state=State.FAILED, reason=probe.failure)
    assert probe.size_bytes is not None
    # The lower end of the interval: a candidate isn't skipped because of noise.
    reason = limits.too_much(latency_ms=probe.low_ms, size_bytes=probe.size_bytes)
    if reason is None:
        return None
    return Outcome(
        name=probe.name,
        state=State.SKIPPED,
        reason=reason,
        p50_ms=probe.p50_ms,
        size_bytes=probe.size_bytes,
    )


def mark_pareto(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes with the Pareto-optimal ones marked."""
    found = tuple(outcomes)
    return tuple(replace(one, pareto=_costs(one) is not None and not _beaten(one, found)) for one in found)


def best_fitting(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the one within the limits with the best score; of equal scores the faster one."""
    fitting = [one for one in outcomes if one.fits]
    return min(fitting, key=lambda one: _costs(one) or (0.0,), default=None)


def _beaten(one: Outcome, others: Sequence[Outcome]) -> bool:
    own = _costs(one)
    assert own is not None
    rivals = [costs for other in others if (costs := _costs(other)) is not None and other is not one]
    return any(costs != own and all(a <= b for a, b in zip(costs, own, strict=True)) for costs in rivals)


def _costs(one: Outcome) -> tuple[float, ...] | None:
    """Return what should be small: negative score, latency, size."""
    if one.score is None or one.p50_ms is None or one.size_bytes is None:
        return None
    return (-one.score, one.p50_ms, float(one.size_bytes))


def render_outcomes(outcomes: Sequence[Outcome], *, metric: str, best: str | None) -> list[str]:
    """Return the lines of the outcomes' table: measured ones first, the best scores on top."""
    lines = [("", metric.replace("_", " "), "test", "p50 ms", "peak memory", "size", "")]
    ranked = sorted(outcomes, key=lambda one: (one.score is None, -(one.score or 0), one.p50_ms or 0))
    for one in ranked:
        lines.append(
            (
                one.name,
                NOTHING if one.score is None else format_metric(metric, one.score),
                NOTHING if one.test_score is None else format_metric(metric, one.test_score),
                milliseconds(one.p50_ms),
                megabytes(one.peak_rss_bytes),
                megabytes(one.size_bytes),
                _remark(one, best),
            )
        )
    return align(lines)


def _remark(one: Outcome, best: str | None) -> str:
    if one.state is not State.MEASURED:
        return f"{one.state}: {one.reason}"
    words = [word for word, holds in (("best", one.name == best), ("pareto", one.pareto)) if holds]
    return ", ".join([*words, *([one.reason] if one.reason else [])])
