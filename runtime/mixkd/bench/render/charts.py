"""The report's charts, each a function from rows to one SVG; colours are classes of `page.css`."""

from collections.abc import Callable, Sequence

import numpy as np

from mixkd.bench.render import svg
from mixkd.bench.render.cells import megabytes, times
from mixkd.bench.render.svg import Scale, even_scale, log_scale
from mixkd.bench.report.figures import Evidence, Latency, Memory
from mixkd.bench.report.schema import Report, Row
from mixkd.bench.variants import Kind
from mixkd.metrics import is_rate

WIDTH = 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 34
_LABEL_ROOM = 92
_LABEL_HEIGHT = 14
_LONGEST_NAME = 64


def colour(row: Row, rows: Sequence[Row]) -> str:
    """Return the class that colours a row the same in every chart."""
    kinds = [kind.value for kind in Kind]
    if row.label in kinds:
        return f"c-{row.label}"
    others = list(dict.fromkeys(other.label for other in rows if other.label not in kinds))
    return f"c-other{others.index(row.label) % 6}"


def pareto(rows: Sequence[Row], value: Callable[[Row], float], what: str, *, metric: str) -> str:
    """Draw the main metric against a cost on a logarithmic axis; the line joins what no other beats in both.

    Args:
        rows: Rows that have the metric and the cost.
        value: A row's cost.
        what: The axis' name with its unit.
        metric: The metric, as `mixkd.metrics` names it.
    """
    height = 270
    # A rate is drawn in percent, a correlation as it is.
    scale, unit = (100, " %") if is_rate(metric) else (1, "")
    scores = {row.label: row.quality.headline for row in rows}
    bounds = [scale * edge for score in scores.values() if score for edge in (score.low, score.high)]
    x = log_scale([value(row) for row in rows], _LEFT, WIDTH - _RIGHT, margin=1.6)
    y = even_scale(bounds, height - _BOTTOM, _TOP, least=0.02 * scale)
    parts = [*_grid_y(y, lambda v: f"{v:.4g}{unit}"), *_axis_x(x, height, _plain, what)]
    points = {row.label: (x(value(row)), y(scale * a.value)) for row in rows if (a := scores[row.label])}
    parts.append(svg.path(_front(list(points.values())), class_="front"))
    for row in rows:
        score = scores[row.label]
        if score is None:
            continue
        at, level = points[row.label]
        name = colour(row, rows)
        parts.append(svg.line(at, y(scale * score.low), at, y(scale * score.high), class_=f"whisker {name}"))
        parts.append(svg.element("circle", cx=at, cy=level, r=6, class_=f"dot {name}"))
    parts += _point_labels(points)
    return svg.drawing(parts, width=WIDTH, height=height, title=f"Quality against {what}")


def distribution(rows: Sequence[Row]) -> str:
    """Draw every sample of every row as a histogram on one logarithmic axis; ticks mark p50 and p90."""
    timed = [(row, np.array(row.samples.total_ns) / 1e6) for row in rows if row.samples]
    edge = 48
    height = len(timed) * edge + _TOP + _BOTTOM + 10
    # A single outlier would compress all other samples: the axis ends at the 99.5th percentile.
    ends = [float(np.quantile(ms, q)) for _, ms in timed for q in (0.0, 0.995)]
    x = log_scale(ends, _LABEL_ROOM, WIDTH - _RIGHT, margin=1.12)
    parts = _axis_x(x, height, _plain, "latency, ms")
    edges = np.geomspace(x.low, x.high, 72)
    for number, (row, samples) in enumerate(timed):
        base = _TOP + 10 + (number + 1) * edge
        counts, _ = np.histogram(samples, edges)
        smooth = np.convolve(counts, [0.25, 0.5, 0.25], mode="same")
        tops = base - smooth / smooth.max() * (edge - 10)
        middles = [x(float(value)) for value in np.sqrt(edges[1:] * edges[:-1])]
        outline = [(middles[0], base), *zip(middles, tops.tolist(), strict=True), (middles[-1], base)]
        parts.append(svg.path(outline, closed=True, class_=f"ridge {colour(row, rows)}"))
        parts.append(svg.line(_LABEL_ROOM, base, WIDTH - _RIGHT, base, class_="grid"))
        parts.append(svg.text(row.label, _LABEL_ROOM - 8, base - 4, class_="label end"))
        if row.latency:
            parts += _quantile_marks(row.latency, x, base, colour(row, rows))
    return svg.drawing(parts, width=WIDTH, height=height, title="Distribution of latency")


def memory_bars(rows: Sequence[Row]) -> str:
    """Draw the memory of each process: bare Python, with engine and model loaded, and the peak."""
    measured = [(row, row.memory) for row in rows if row.memory and row.memory.peak_rss_bytes]
    edge = 36
    height = len(measured) * edge + _TOP + _BOTTOM
    peaks = [max(m.peak_rss_bytes or 0, m.smallest_cap_bytes or 0) for _, m in measured]
    x = Scale(0, max(peaks) / 1e6 * 1.16, _LABEL_ROOM, WIDTH - _RIGHT)
    parts = _axis_x(x, height, _plain, "resident memory, MB")
    for number, (row, memory) in enumerate(measured):
        top = _TOP + number * edge + 6
        parts.append(svg.text(row.label, _LABEL_ROOM - 8, top + 15, class_="label end"))
        parts += _memory_bar(memory, x, top, colour(row, rows))
    return svg.drawing(parts, width=WIDTH, height=height, title="Peak memory")


def targets(rows: Sequence[Row], value: Callable[[Row], float], what: str) -> str:
    """Draw a cost of every variant, a line per target; what isn't the device's own figure is an open dot.

    Args:
        rows: Rows that have the cost.
        value: A row's cost.
        what: The axis' name with its unit.
    """
    names = list(dict.fromkeys(row.target for row in rows))
    edge = 44
    height = len(names) * edge + _TOP + _BOTTOM
    x = log_scale([value(row) for row in rows], _RIGHT, WIDTH - _RIGHT, margin=1.2)
    parts = _axis_x(x, height, _plain, what)
    for number, name in enumerate(names):
        level = _TOP + number * edge + 28
        parts.append(svg.text(_cut(name), _RIGHT, level - 13, class_="label"))
        parts.append(svg.line(_RIGHT, level, WIDTH - _RIGHT, level, class_="grid"))
        for row in rows:
            if row.target == name:
                kind = "dot" if row.evidence is Evidence.DEVICE else "dot open"
                look = f"{kind} {colour(row, rows)}"
                parts.append(svg.element("circle", cx=x(value(row)), cy=level, r=6, class_=look))
    return svg.drawing(parts, width=WIDTH, height=height, title=f"{what} on every target")


def length_curve(rows: Sequence[Row]) -> str:
    """Draw the median latency against the length of the text, both logarithmic."""
    height = 270
    timed = [(row, row.latency.curve) for row in rows if row.latency and row.latency.curve]
    lengths = sorted({point.tokens for _, curve in timed for point in curve})
    x = log_scale([float(length) for length in lengths], _LEFT, WIDTH - _RIGHT - 8, margin=1.08)
    y = log_scale([p.p50_ms for _, curve in timed for p in curve], height - _BOTTOM, _TOP)
    parts = [*_grid_y(y, _plain)]
    doubled = [length for length in lengths if length & (length - 1) == 0] or lengths
    parts += _axis_x(x, height, _plain, "tokens per text", ticks=[float(n) for n in doubled])
    for row, curve in timed:
        name = colour(row, rows)
        points = [(x(point.tokens), y(point.p50_ms)) for point in curve]
        parts.append(svg.path(points, class_=f"curve {name}"))
        parts += [svg.element("circle", cx=at, cy=level, r=3, class_=f"dot {name}") for at, level in points]
    return svg.drawing(parts, width=WIDTH, height=height, title="Latency against length")


def speed_up_steps(report: Report) -> str:
    """Draw the factors of the speed-up, each bar starting where the one above ends."""
    steps = [step for step in report.steps if step.name != "total"]
    total = next(step for step in report.steps if step.name == "total")
    edge = 34
    height = (len(steps) + 1) * edge + _TOP + _BOTTOM
    x = Scale(1, max(total.speed_up.value * 1.5, 2), _LABEL_ROOM, WIDTH - _RIGHT, log=True)
    parts = _axis_x(x, height, _plain, "times faster than the teacher in PyTorch")
    reached = 1.0
    for number, step in enumerate([*steps, total]):
        start = 1.0 if step is total else reached
        reached = start * step.speed_up.value
        top = _TOP + number * edge + 6
        left, right = sorted((x(max(start, 1.0)), x(max(reached, 1.0))))
        kind = "bar-total" if step is total else "bar-step"
        parts.append(svg.text(step.name, _LABEL_ROOM - 8, top + 15, class_="label end"))
        parts.append(
            svg.element("rect", x=left, y=top, width=max(right - left, 1.5), height=22, rx=2, class_=kind)
        )
        parts.append(svg.text(times(step.speed_up), right + 6, top + 15, class_="label strong"))
    return svg.drawing(parts, width=WIDTH, height=height, title="Speed-up, factor by factor")


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats in both: further left and, in SVG, with a smaller y."""
    front: list[tuple[float, float]] = []
    for point in sorted(points):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def _point_labels(points: dict[str, tuple[float, float]]) -> list[str]:
    """Write each name beside its point, moved down where it would cover another name or a point."""
    parts, taken = [], [(x - 7, x + 7, y + 4) for x, y in points.values()]
    for label, (x, y) in sorted(points.items(), key=lambda item: item[1][1]):
        width = 6.4 * len(label)
        leftwards = x + 12 + width > WIDTH - 4
        left = x - 12 - width if leftwards else x + 12
        level = y + 4
        while any(abs(level - at) < _LABEL_HEIGHT and left < b and a < left + width for a, b, at in taken):
            level += 2
        taken.append((left, left + width, level))
        anchor, at = ("label end", x - 11) if leftwards else ("label", x + 11)
        parts.append(svg.text(label, at, level, class_=anchor))
    return parts


def _quantile_marks(latency: Latency, x: Scale, base: float, name: str) -> list[str]:
    marks = [("p50", latency.p50_ms.value), ("p90", latency.p90_ms)]
    return [
        svg.line(x(value), base + 1, x(value), base + (7 if mark == "p50" else 5), class_=f"tick {name}")
        for mark, value in marks
        if value is not None and x.low <= value <= x.high
    ]


def _memory_bar(memory: Memory, x: Scale, top: float, name: str) -> list[str]:
    peak = memory.peak_rss_bytes or 0
    ends = [memory.baseline_bytes or 0, max(memory.loaded_bytes or 0, memory.baseline_bytes or 0), peak]
    parts, start = [], 0
    for end, shade in zip(ends, ("base", "loaded", "peak"), strict=True):
        if end > start:
            left, right = x(start / 1e6), x(end / 1e6)
            parts.append(
                svg.element(
                    "rect", x=left, y=top, width=right - left, height=22, class_=f"bar {shade} {name}"
                )
            )
            start = end
    cap = memory.smallest_cap_bytes
    if cap:
        parts.append(svg.line(x(cap / 1e6), top - 3, x(cap / 1e6), top + 25, class_="cap"))
    parts.append(svg.text(megabytes(peak), x(max(peak, cap or 0) / 1e6) + 6, top + 15, class_="label strong"))
    return parts


def _cut(name: str) -> str:
    """Shorten a long address; the table shows all of it."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _plain(tick: float) -> str:
    return f"{tick:g}"


def _grid_y(y: Scale, write: Callable[[float], str]) -> list[str]:
    parts = []
    for tick in y.ticks():
        parts.append(svg.line(_LEFT, y(tick), WIDTH - _RIGHT, y(tick), class_="grid"))
        parts.append(svg.text(write(tick), _LEFT - 6, y(tick) + 4, class_="axis end"))
    return parts


def _axis_x(
    x: Scale,
    height: int,
    write: Callable[[float], str],
    what: str,
    *,
    ticks: Sequence[float] | None = None,
) -> list[str]:
    floor = height - _BOTTOM
    parts = [svg.line(x.start, floor, WIDTH - _RIGHT, floor, class_="frame")]
    for tick in ticks or x.ticks():
        parts.append(svg.line(x(tick), _TOP, x(tick), floor, class_="grid"))
        parts.append(svg.text(write(tick), x(tick), floor + 14, class_="axis middle"))
    parts.append(svg.text(what, (x.start + WIDTH - _RIGHT) / 2, height - 4, class_="axis name middle"))
    return parts
