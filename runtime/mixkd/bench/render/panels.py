"""Which charts a report gets: a group for every target that was timed, and the targets side by side."""

from collections.abc import Sequence
from html import escape

from mixkd.bench.render import charts
from mixkd.bench.report.figures import Evidence
from mixkd.bench.report.schema import Report, Row, TargetRecord

_SHARE_OF_HOST = "Memory is held to the device's cap; latency is a share of this processor, no device's."


def trade_offs(report: Report) -> str:
    """Return the legend and every chart."""
    groups = [_group(report, target) for target in report.targets]
    return _legend(report.rows) + _side_by_side(report) + "".join(filter(None, groups))


def _group(report: Report, target: TargetRecord) -> str:
    """Return one target's charts; nothing where an emulator has only answers, which the tables show."""
    rows = [row for row in report.rows if row.target == target.name]
    first = target is report.targets[0]
    panels = [*_quality(rows, report, with_size=first), *_costs(rows, report)]
    if first and any(step.name == "total" for step in report.steps):
        panels.append(
            _panel(
                "Where the speed comes from",
                "Each bar starts where the one above ends: the factors multiply.",
                charts.speed_up_steps(report),
            )
        )
    if not panels:
        return ""
    heading = ""
    if len(report.targets) > 1:
        note = f"<p>{escape(_SHARE_OF_HOST)}</p>" if target.evidence is Evidence.CAPPED_HOST else ""
        heading = f'<div class="place"><h3>{escape(target.name)}</h3>{note}</div>'
    return f'{heading}<div class="charts">{"".join(panels)}</div>'


def _quality(rows: Sequence[Row], report: Report, *, with_size: bool) -> list[str]:
    scored = [row for row in rows if row.quality.headline]
    both = [row for row in scored if row.latency]
    panels = []
    if len(both) > 1:
        panels.append(
            _panel(
                f"{report.metric_name.capitalize()} against latency",
                "Up and to the left is better. The dashed line joins what nothing else beats; "
                "whiskers are 95 % intervals.",
                charts.pareto(both, _p50, "p50 latency, ms", metric=report.metric),
            )
        )
    if len(scored) > 1 and with_size:  # the files are the same everywhere
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
                "Each variant answered the same texts, one at a time; ticks below the line are p50 and p90.",
                charts.distribution(timed),
            )
        )
    if any(row.memory and row.memory.peak_rss_bytes for row in rows):
        capped = any(row.memory and row.memory.smallest_cap_bytes for row in rows)
        panels.append(
            _panel(
                "Peak memory",
                "From pale to full: bare Python, engine and model loaded, the peak while answering."
                + (" The upright tick is the smallest cap that it survived." if capped else ""),
                charts.memory_bars(rows),
            )
        )
    if any(row.latency and row.latency.curve for row in rows):
        longest = report.data.tokens_longest
        panels.append(
            _panel(
                "Latency against length",
                f"Texts made of the data's own words; its longest has {longest} tokens.",
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
            "Median latency everywhere",
            "A line per target. An open dot is a share of this processor under caps, no device's speed.",
            charts.targets(timed, _p50, "p50 latency, ms"),
        )
    ]
    if held:
        panels.append(
            _panel(
                "Peak memory everywhere",
                "Python and the engine included; an open dot was held to the device's cap.",
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
    return (
        f"<figure><figcaption><h3>{escape(title)}</h3><p>{escape(caption)}</p></figcaption>{drawing}</figure>"
    )


def _legend(rows: Sequence[Row]) -> str:
    named = {row.label: charts.colour(row, rows) for row in rows}
    items = "".join(f'<li><i class="{name}"></i>{escape(label)}</li>' for label, name in named.items())
    return f'<ul class="legend">{items}</ul>'
