"""The report and a comparison as tables in a terminal: lines of aligned columns."""

from collections.abc import Sequence

from mixkd.bench.compare import Change, Comparison, Figure
from mixkd.bench.render.cells import cells, headings, megabytes, milliseconds, signed_difference
from mixkd.bench.report.schema import Report
from mixkd.console import visible
from mixkd.metrics import format_metric


def render_table(report: Report) -> list[str]:
    """Return the lines of the report's table."""
    return align([headings(report), *(cells(row, report) for row in report.rows)])


def render_comparison(comparison: Comparison) -> list[str]:
    """Return the lines of the changes' table, and what isn't compared."""
    heads = ("", "figure", "old", "new", "change", "95 % interval", "")
    rows = map(_change_cells, comparison.changes)
    return [*align([heads, *rows], left=2), *map(visible, comparison.notes)]


def align(lines: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return lines of texts as columns, the first line underlined, the first `left` columns flush left.

    Not rich's table: in a narrow terminal it cuts or folds cells, which can't be searched then.
    """
    lines = [[visible(text) for text in line] for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    drawn = [_line(line, widths, left) for line in lines]
    drawn.insert(1, "  ".join("─" * width for width in widths))
    return drawn


def _line(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    padded = (
        text.ljust(width) if i < left else text.rjust(width)
        for i, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


def _change_cells(change: Change) -> tuple[str, ...]:
    difference = change.difference
    exact = difference.low == difference.high
    between = f"{_difference(change, difference.low)} to {_difference(change, difference.high)}"
    return (
        change.label,
        change.name,
        _value(change, change.old),
        _value(change, change.new),
        _difference(change, difference.value),
        "exact" if exact else between,
        "REGRESSION" if change.regressed else "",
    )


def _value(change: Change, value: float) -> str:
    match change.figure:
        case Figure.P50 | Figure.P90:
            return milliseconds(value)
        case Figure.SIZE | Figure.PEAK_MEMORY:
            return megabytes(value)
        case Figure.QUALITY:
            return format_metric(change.metric, value)


def _difference(change: Change, difference: float) -> str:
    if change.figure is Figure.QUALITY:
        return signed_difference(change.metric, difference)
    return f"{100 * difference:+.1f} %"
