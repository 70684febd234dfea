"""Two reports of one bundle's life: what became worse, beyond what noise explains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixkd.bench.render.text import align, megabytes, milliseconds, percent, row_name
from mixkd.bench.report.figures import Evidence, Interval
from mixkd.bench.report.intervals import Floats, Resampling
from mixkd.bench.report.schema import Report, Row
from mixkd.errors import ConfigError, MeasureError


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure of one variant, before and after.

    Attributes:
        label: The variant and, where it isn't local, the target.
        figure: What is compared.
        old: The old value, written.
        new: The new value, written.
        ratio: New over old; for a share of right answers the difference, new less old. An exact figure has
            an interval without width.
        regressed: Whether even the kind end of the interval is worse than allowed.
    """

    label: str
    figure: str
    old: str
    new: str
    ratio: Interval
    regressed: bool


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

    Latency may grow by the share `max_regression` before it counts, and then only if its whole interval lies
    above; so may memory and size, which are exact. Accuracy may not fall by more than chance allows.

    Args:
        old: The one that was good.
        new: The one that is asked about.
        max_regression: The share of growth that is allowed, 0.05 for 5 %.

    Raises:
        MeasureError: If the reports share no variant.
    """
    former = {(row.label, row.target): row for row in old.rows}
    shared = [(former[key], row) for row in new.rows if (key := (row.label, row.target)) in former]
    if not shared:
        raise MeasureError("the two reports share no variant: compare reports of the same bundle")
    same_machine = _machine(old) == _machine(new)
    same_texts = (old.data.sha256, old.data.judged_rows) == (new.data.sha256, new.data.judged_rows)
    notes = []
    if not same_machine:
        notes.append(f"latency isn't compared: {_machine(old)} then, {_machine(new)} now")
    if not same_texts:
        notes.append("accuracy isn't compared: the texts aren't the same")
    resampling = Resampling(new.config.resamples, new.config.seed)
    changes: list[Change] = []
    for before, after in shared:
        if same_machine:
            changes += _latency_changes(before, after, max_regression, resampling)
        changes += _exact_changes(before, after, max_regression)
        if same_texts:
            changes += _quality_changes(before, after, new.metric_name)
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
        raise ConfigError(f"{word!r} is not a share of growth: write 5% or 0.05")
    return share


def render_comparison(comparison: Comparison) -> str:
    """Return the changes as an aligned text table."""
    lines = [("", "figure", "old", "new", "change", "95 % interval", "")]
    for change in comparison.changes:
        ratio = change.ratio
        is_share = change.old.endswith("%")
        write = _points if is_share else _growth
        lines.append(
            (
                change.label,
                change.figure,
                change.old,
                change.new,
                write(ratio.value),
                f"{write(ratio.low)} to {write(ratio.high)}" if ratio.low != ratio.high else "exact",
                "REGRESSION" if change.regressed else "",
            )
        )
    return "\n".join([align(lines), *comparison.notes])


def _latency_changes(old: Row, new: Row, allowed: float, resampling: Resampling) -> Iterator[Change]:
    if old.evidence is not Evidence.DEVICE:
        return
    if not (old.samples and new.samples and old.latency and new.latency):
        return
    before, after = _blocks(old), _blocks(new)
    for figure, statistic in (("p50", _p50), ("p90", _p90)):
        values = statistic(before.ravel()), statistic(after.ravel())
        ratio = _ratio_of_runs(before, after, statistic, resampling)
        yield Change(
            label=row_name(new),
            figure=f"{figure} ms",
            old=milliseconds(values[0]),
            new=milliseconds(values[1]),
            ratio=ratio,
            regressed=ratio.low > 1 + allowed,
        )


def _exact_changes(old: Row, new: Row, allowed: float) -> Iterator[Change]:
    memories = [row.memory.peak_rss_bytes if row.memory else None for row in (old, new)]
    for figure, before, after in (
        ("size", old.size_bytes, new.size_bytes),
        ("peak memory", memories[0], memories[1]),
    ):
        if before and after:
            ratio = after / before
            yield Change(
                label=row_name(new),
                figure=figure,
                old=megabytes(before),
                new=megabytes(after),
                ratio=Interval(ratio, ratio, ratio),
                regressed=ratio > 1 + allowed,
            )


def _quality_changes(old: Row, new: Row, metric: str) -> Iterator[Change]:
    before, after = old.quality.headline, new.quality.headline
    if not before or not after:
        return
    difference = _difference(before, after)
    yield Change(
        label=row_name(new),
        figure=metric,
        old=percent(before.value),
        new=percent(after.value),
        ratio=difference,
        regressed=difference.high < 0,
    )


def _ratio_of_runs(
    old: Floats, new: Floats, statistic: Callable[[Floats], float], resampling: Resampling
) -> Interval:
    """Return new over old; the runs are apart in time, so their blocks are drawn apart."""
    rng = np.random.default_rng(resampling.seed)
    draws = [
        statistic(new[rng.integers(0, len(new), len(new))].ravel())
        / statistic(old[rng.integers(0, len(old), len(old))].ravel())
        for _ in range(resampling.draws)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(statistic(new.ravel()) / statistic(old.ravel()), float(low), float(high))


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


def _p50(samples_ms: Floats) -> float:
    return float(np.quantile(samples_ms, 0.5))


def _p90(samples_ms: Floats) -> float:
    return float(np.quantile(samples_ms, 0.9))


def _machine(report: Report) -> str:
    environment = report.targets[0].environment
    return f"{environment.processor}, {report.config.threads} thread(s)"


def _growth(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"


def _points(difference: float) -> str:
    return f"{difference * 100:+.2f} points"
