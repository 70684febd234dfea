"""Compares two reports: what became worse, beyond what noise explains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mixkd.bench.render.cells import row_name
from mixkd.bench.report.figures import Evidence, Interval
from mixkd.bench.report.intervals import Floats, Resampling
from mixkd.bench.report.schema import Report, Row
from mixkd.errors import ConfigError, MeasureError


class Figure(StrEnum):
    """What is compared."""

    P50 = "p50 ms"
    P90 = "p90 ms"
    SIZE = "size"
    PEAK_MEMORY = "peak memory"
    QUALITY = "quality"
    """The task's main metric."""


_MOST_DRAWN = 5 * 10**8
"""Samples drawn for one comparison, some 20 s; the two reports and their counts may be a stranger's."""

_AT_ONCE = 2**18
"""Samples that are drawn in one step: a few megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure of one variant, before and after.

    Attributes:
        label: The variant and, where it isn't local, the target.
        figure: What is compared.
        metric: The metric that `Figure.QUALITY` is, as `mixkd.metrics` names it.
        old: The old value; milliseconds, bytes, or the metric's own unit.
        new: The new value.
        difference: New less old, as a share of old; of a metric simply new less old. An exact figure has an
            interval without width.
        regressed: Whether the whole interval lies beyond what is allowed.
    """

    label: str
    figure: Figure
    metric: str
    old: float
    new: float
    difference: Interval
    regressed: bool

    @property
    def name(self) -> str:
        """The figure's name, the metric's own for quality."""
        return self.metric.replace("_", " ") if self.figure is Figure.QUALITY else self.figure


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes, and what can't be compared.

    Attributes:
        changes: One per variant and figure that both reports have.
        notes: Why something isn't compared.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        """The changes for the worse."""
        return tuple(change for change in self.changes if change.regressed)


def compare_reports(old: Report, new: Report, *, max_regression: float = 0.05) -> Comparison:
    """Compare two reports row by row.

    A latency regressed if its whole interval lies above the old value and the allowed growth. Memory and size
    regressed if they grew more than allowed. The task's metric regressed if its whole interval lies below 0.

    Args:
        old: The report to compare with.
        new: The report that is judged.
        max_regression: The share of growth that is allowed, 0.05 for 5 %.

    Raises:
        MeasureError: If the reports share no variant, or comparing them would take hours.
    """
    former = {(row.label, row.target): row for row in old.rows}
    shared = [(former[key], row) for row in new.rows if (key := (row.label, row.target)) in former]
    if not shared:
        raise MeasureError("the two reports share no variant: compare reports of the same bundle")
    same_machine = _machine(old) == _machine(new)
    same_texts = (old.data.sha256, old.data.judged_rows) == (new.data.sha256, new.data.judged_rows)
    notes = []
    if not same_machine:
        notes.append(f"latency isn't compared: the old machine is {_machine(old)}, the new {_machine(new)}")
    if not same_texts:
        notes.append(f"{new.metric_name} isn't compared: the texts differ")
    resampling = Resampling(new.config.resamples, new.config.seed)
    if same_machine:
        _check_work(shared, resampling)
    changes: list[Change] = []
    for before, after in shared:
        pair = _Pair(before, after, new.metric, max_regression)
        if same_machine:
            changes += pair.latency(resampling)
        changes += pair.exact()
        if same_texts:
            changes += pair.quality()
    return Comparison(tuple(changes), tuple(notes))


def parse_share(word: str) -> float:
    """Return the share that ``5%`` or ``0.05`` says.

    Raises:
        ConfigError: If it says none.
    """
    try:
        share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 10:
        raise ConfigError(f"--max-regression must be a share of growth such as 5% or 0.05, not {word!r}")
    return share


@dataclass(frozen=True, slots=True)
class _Pair:
    """One variant in both reports."""

    old: Row
    new: Row
    metric: str
    allowed: float

    def latency(self, resampling: Resampling) -> Iterator[Change]:
        old, new = self.old, self.new
        if old.evidence is not Evidence.DEVICE:
            return
        if not (old.samples and new.samples and old.latency and new.latency):
            return
        before, after = _blocks(old), _blocks(new)
        for figure, share in ((Figure.P50, 0.5), (Figure.P90, 0.9)):
            ratio = _ratio_of_runs(before, after, share, resampling)
            growth = Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1)
            yield self._change(
                figure,
                _quantile(before, share),
                _quantile(after, share),
                growth,
                regressed=ratio.low > 1 + self.allowed,
            )

    def exact(self) -> Iterator[Change]:
        memories = [row.memory.peak_rss_bytes if row.memory else None for row in (self.old, self.new)]
        for figure, before, after in (
            (Figure.SIZE, self.old.size_bytes, self.new.size_bytes),
            (Figure.PEAK_MEMORY, memories[0], memories[1]),
        ):
            if before and after:
                ratio = after / before
                growth = Interval(ratio - 1, ratio - 1, ratio - 1)
                yield self._change(figure, before, after, growth, regressed=ratio > 1 + self.allowed)

    def quality(self) -> Iterator[Change]:
        before, after = self.old.quality.headline, self.new.quality.headline
        if before and after:
            difference = _difference(before, after)
            yield self._change(
                Figure.QUALITY, before.value, after.value, difference, regressed=difference.high < 0
            )

    def _change(
        self, figure: Figure, old: float, new: float, difference: Interval, *, regressed: bool
    ) -> Change:
        return Change(
            label=row_name(self.new),
            figure=figure,
            metric=self.metric,
            old=old,
            new=new,
            difference=difference,
            regressed=regressed,
        )


def _check_work(pairs: Sequence[tuple[Row, Row]], resampling: Resampling) -> None:
    samples = sum(
        len(old.samples.total_ns) + len(new.samples.total_ns)
        for old, new in pairs
        if old.samples and new.samples
    )
    if samples * resampling.draws > _MOST_DRAWN:
        raise MeasureError(
            f"{resampling.draws} resamples of {samples} samples are too many to compare: "
            "measure with fewer --resamples or --samples"
        )


def _ratio_of_runs(old: Floats, new: Floats, share: float, resampling: Resampling) -> Interval:
    """Return new over old; the two runs were at different times, so their blocks are drawn separately."""
    rng = np.random.default_rng(resampling.seed)
    draws = _quantiles(new, share, resampling.draws, rng) / _quantiles(old, share, resampling.draws, rng)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(_quantile(new, share) / _quantile(old, share), float(low), float(high))


def _quantiles(blocks: Floats, share: float, draws: int, rng: np.random.Generator) -> Floats:
    """Return a quantile of each of `draws` resamples of whole blocks; (draws,)."""
    at_once = max(1, _AT_ONCE // blocks.size)
    parts = []
    for start in range(0, draws, at_once):
        picked = rng.integers(0, len(blocks), (min(at_once, draws - start), len(blocks)))
        parts.append(np.quantile(blocks[picked].reshape(len(picked), -1), share, axis=1))
    return np.concatenate(parts)


def _quantile(blocks: Floats, share: float) -> float:
    return float(np.quantile(blocks, share))


def _difference(old: Interval, new: Interval) -> Interval:
    """Return new less old with Newcombe's hybrid interval (1998, method 10), from the two own intervals.

    The rows are the same, so the true interval is narrower: what this calls worse is worse.
    """
    change = new.value - old.value
    below = np.hypot(new.value - new.low, old.high - old.value)
    above = np.hypot(new.high - new.value, old.value - old.low)
    return Interval(change, float(change - below), float(change + above))


def _blocks(row: Row) -> Floats:
    """Return (blocks, samples per block) in milliseconds."""
    assert row.samples is not None
    return np.array(row.samples.total_ns).reshape(len(row.samples.cpu_ns), -1) / 1e6


def _machine(report: Report) -> str:
    threads = report.config.threads
    return f"{report.targets[0].environment.processor} with {threads} thread{'' if threads == 1 else 's'}"
