"""Which charts a report gets: a group for each timed target, and the targets side by side."""

from collections.abc import Sequence

from mixkd.bench.render import charts
from mixkd.bench.render.svg import escaped
from mixkd.bench.report.figures import Evidence
from mixkd.bench.report.schema import Report, Row, TargetRecord

_CAPPED = "Memory is capped as on the device; latency is this processor's, not the device's."


def trade_offs(report: Report) -> str:
    """Return the legend and every chart."""
    groups = [_group(report, target) for target in report.targets]
    return _legend(report.rows) + _side_by_side(report) + "".join(filter(None, groups))


def _group(report: Report, target: TargetRecord) -> str:
    """Return one target's charts; nothing for an emulator, which gives answers only: the tables show them."""
    rows = [row for row in report.rows if row.target == target.name]
    first = target is report.targets[0]
    panels = [*_quality(rows, report, with_size=first), *_costs(rows, report)]
    if first and any(step.name == "total" for step in report.steps):
        panels.append(
            _panel(
                "Where the speed comes from",
                "Each bar starts where the bar above ends: the factors multiply.",
                charts.speed_up_steps(report),
            )
        )
    if not panels:
        return ""
    heading = ""
    if len(report.targets) > 1:
        note = f"<p>{escaped(_CAPPED)}</p>" if target.evidence is Evidence.CAPPED_HOST else ""
        heading = f'<div class="place"><h3>{escaped(target.name)}</h3>{note}</div>'
    return f'{heading}<div class="charts">{"".join(panels)}</div>'


def _quality(rows: Sequence[Row], report: Report, *, with_size: bool) -> list[str]:
    scored = [row for row in rows if row.quality.headline]
    both = [row for row in scored if row.latency]
    panels = []
    if len(both) > 1:
        panels.append(
            _panel(
                f"{report.metric_name.capitalize()} against latency",
                "Up and to the left is better. The dashed line joins the variants that no other beats in "
                "both; whiskers are 95 % intervals.",
                charts.pareto(both, _p50, "p50 latency, ms", metric=report.metric),
            )
        )
    if len(scored) > 1 and with_size:  # the files are the same on every target
        panels.append(
            _panel(
                f"{report.metric_name.capitalize()} against size",
                "The size of the weight files.",
                charts.pareto(scored, lambda row: row.size_bytes / 1e6, "size, MB", metric=report.metric),
            )
        )
    return panels


def _costs(rows: Sequence[Row], report: Report) -> list[str]:
    timed = [row for row in rows if row.latency]
    panels = []
    if timed:
        panels.append(
            _panel(
                "Every sample",
                "Each variant answers the same texts, one at a time; ticks below the line are p50 and p90.",
                charts.distribution(timed),
            )
        )
    if any(row.memory and row.memory.peak_rss_bytes for row in rows):
        capped = any(row.memory and row.memory.smallest_cap_bytes for row in rows)
        panels.append(
            _panel(
                "Peak memory",
                "From light to dark: bare Python; engine and model loaded; the peak while answering."
                + (" The vertical tick is the smallest cap under which it still ran." if capped else ""),
                charts.memory_bars(rows),
            )
        )
    if any(row.latency and row.latency.curve for row in rows):
        longest = report.data.tokens_longest
        panels.append(
            _panel(
                "Latency against length",
                f"Texts made of words of the data; the longest text of the data has {longest} tokens.",
                charts.length_curve(timed),
            )
        )
    return panels


def _side_by_side(report: Report) -> str:
    timed = [row for row in report.rows if row.latency]
    if len({row.target for row in timed}) < 2:
        return ""
    held = [row for row in timed if row.memory and row.memory.peak_rss_bytes]
    panels = [
        _panel(
            "Median latency on each target",
            "A line per target. An open dot is this processor under a device's caps, not the device's speed.",
            charts.targets(timed, _p50, "p50 latency, ms"),
        )
    ]
    if held:
        panels.append(
            _panel(
                "Peak memory on each target",
                "Python and the engine included; an open dot was measured under the device's cap.",
                charts.targets(held, _peak_mb, "peak memory, MB"),
            )
        )
    return f'<div class="charts">{"".join(panels)}</div>'


def _p50(row: Row) -> float:
    assert row.latency is not None
    return row.latency.p50_ms.value


def _peak_mb(row: Row) -> float:
    assert row.memory is not None
    return (row.memory.peak_rss_bytes or 0) / 1e6


def _panel(title: str, caption: str, drawing: str) -> str:
    words = f"<h3>{escaped(title)}</h3><p>{escaped(caption)}</p>"
    return f"<figure><figcaption>{words}</figcaption>{drawing}</figure>"


def _legend(rows: Sequence[Row]) -> str:
    named = {row.label: charts.colour(row, rows) for row in rows}
    items = "".join(f'<li><i class="{name}"></i>{escaped(label)}</li>' for label, name in named.items())
    return f'<ul class="legend">{items}</ul>'
