"""The report's table as text, for a terminal and for a pull request."""

from collections.abc import Sequence

from mixkd.bench.report.figures import Interval
from mixkd.bench.report.schema import Absent, Report, Row
from mixkd.console import visible

COLUMNS = ("p50 ms", "p90 ms", "peak memory", "size", "speed-up")
"""The headings behind the variant's name and the main metric."""

NOTHING = "\N{EN DASH}"
_TIMES = "\N{MULTIPLICATION SIGN}"


def render_table(report: Report) -> str:
    """Return the rows as an aligned text table, without a final line break."""
    return align([headings(report), *(cells(row) for row in report.rows)])


def align(lines: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return lines of texts as columns, the first line underlined, the first `left` columns flush left."""
    lines = [[visible(text) for text in line] for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    drawn = [_line(line, widths, left) for line in lines]
    drawn.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(drawn)


def headings(report: Report) -> tuple[str, ...]:
    """Return the headings of `cells`."""
    return ("", report.metric_name, *COLUMNS)


def cells(row: Row) -> tuple[str, ...]:
    """Return one row's cells under `headings`."""
    latency, memory = row.latency, row.memory
    return (
        row_name(row),
        main_quality(row),
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


def main_quality(row: Row) -> str:
    """Return the task's main metric as a share of a hundred."""
    return percent(row.quality.headline.value) if row.quality.headline else NOTHING


def milliseconds(value: float | None) -> str:
    """Return a latency, or a dash where there is none."""
    return NOTHING if value is None else three_figures(value)


def megabytes(value: int | None) -> str:
    """Return a size in megabytes of 10^6 bytes."""
    if value is None:
        return NOTHING
    return f"{value / 1e6:,.0f} MB" if value >= 1e8 else f"{value / 1e6:.1f} MB"


def percent(value: float) -> str:
    """Return a share as 96.02 %."""
    return f"{value * 100:.2f} %"


def times(value: Interval | float | None) -> str:
    """Return a factor with three figures and the multiplication sign."""
    if value is None:
        return NOTHING
    factor = value.value if isinstance(value, Interval) else value
    return three_figures(factor) + _TIMES


def three_figures(value: float) -> str:
    """Return a positive number with three figures: 183, 18.3, 1.83."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _line(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    padded = (
        text.ljust(width) if i < left else text.rjust(width)
        for i, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
