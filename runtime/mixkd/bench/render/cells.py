"""How one figure is written, in a terminal, in Markdown and on the page."""

from mixkd.bench.report.figures import Interval
from mixkd.bench.report.schema import Absent, Report, Row
from mixkd.metrics import format_metric, is_rate

NOTHING = "\N{EN DASH}"
_TIMES = "\N{MULTIPLICATION SIGN}"


def headings(report: Report) -> tuple[str, ...]:
    """Return the headings of `cells`."""
    return ("", report.metric_name, "p50 ms", "p90 ms", "peak memory", "size", "speed-up")


def cells(row: Row, report: Report) -> tuple[str, ...]:
    """Return one row's cells under `headings`."""
    latency, memory = row.latency, row.memory
    return (
        row_name(row),
        main_quality(row, report),
        milliseconds(latency.p50_ms.value if latency else None),
        milliseconds(latency.p90_ms if latency else None),
        megabytes(memory.peak_rss_bytes if memory else None),
        megabytes(row.size_bytes),
        times(row.speed_up),
    )


def row_name(row: Row) -> str:
    """Return the variant's name, with the target where it isn't local."""
    return row.label if row.target == "local" else f"{row.label} at {row.target}"


def absent_name(absent: Absent) -> str:
    """Return what is absent: a variant, or a whole target."""
    if not absent.label:
        return absent.target
    return absent.label if absent.target == "local" else f"{absent.label} at {absent.target}"


def main_quality(row: Row, report: Report) -> str:
    """Return the task's main metric, or a dash where no row has a label."""
    headline = row.quality.headline
    return format_metric(report.metric, headline.value) if headline else NOTHING


def bounds(metric: str, interval: Interval) -> str:
    """Return the bounds of a metric's interval: a rate as 94.1 to 96.0, a correlation as 0.8711 to 0.9102."""
    scale, digits = (100, 1) if is_rate(metric) else (1, 4)
    return f"{scale * interval.low:.{digits}f} to {scale * interval.high:.{digits}f}"


def metric_difference(metric: str, difference: float) -> str:
    """Return the size of a difference in a metric: 0.90 points for a rate, 0.0090 for a correlation."""
    return f"{abs(100 * difference):.2f} points" if is_rate(metric) else f"{abs(difference):.4f}"


def signed_difference(metric: str, difference: float) -> str:
    """Return a difference in a metric with its sign: +0.90 for a rate, +0.0090 for a correlation."""
    scale, digits = (100, 2) if is_rate(metric) else (1, 4)
    return f"{scale * difference:+.{digits}f}"


def milliseconds(value: float | None) -> str:
    """Return a latency, or a dash where there is none."""
    return NOTHING if value is None else three_figures(value)


def megabytes(value: float | None) -> str:
    """Return a size in megabytes of 10^6 bytes."""
    if value is None:
        return NOTHING
    return f"{value / 1e6:,.0f} MB" if value >= 1e8 else f"{value / 1e6:.1f} MB"


def times(value: Interval | float | None) -> str:
    """Return a factor with three figures and the multiplication sign."""
    if value is None:
        return NOTHING
    factor = value.value if isinstance(value, Interval) else value
    return three_figures(factor) + _TIMES


def three_figures(value: float) -> str:
    """Return a positive number with three figures: 183, 18.3, 1.83."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
