"""The page's tables: the main figures, their details, latency by length, scenarios and targets."""

from collections.abc import Sequence
from statistics import median
from typing import TypeAlias

from mixkd.bench.render.cells import NOTHING, bounds, megabytes, milliseconds, row_name, times
from mixkd.bench.render.charts import colour
from mixkd.bench.render.svg import escaped
from mixkd.bench.render.verdict import reach_verdict
from mixkd.bench.report.figures import Bucket, Interval
from mixkd.bench.report.schema import Report, Row, TargetRecord
from mixkd.metrics import format_metric

Cell: TypeAlias = str | tuple[str, str]
"""A text, or a text and a small note below it."""


def main_table(report: Report) -> str:
    """Return the variants with their main figures."""
    headings = (report.metric_name, "p50 ms", "p90 ms", "p99 ms", "peak memory", "size", "speed-up")
    return _table(report, headings, [_main_cells(row, report) for row in report.rows])


def detail_table(report: Report) -> str:
    """Return the details: agreement, parts of the latency, start, evidence."""
    headings = [
        "macro F1",
        "agreement",
        "KL nats",
        "tokenize ms",
        "CPU ms per text",
        "import ms",
        "load ms",
        "first ms",
        "private memory",
        "evidence",
    ]
    cells = [_detail_cells(row) for row in report.rows]
    if any(row.latency and row.latency.energy_mj_per_text is not None for row in report.rows):
        headings.insert(5, "energy mJ per text")
        for row, texts in zip(report.rows, cells, strict=True):
            texts.insert(5, milliseconds(row.latency.energy_mj_per_text if row.latency else None))
    return _table(report, headings, cells)


def length_table(report: Report) -> str:
    """Return the median latency by length of the timed texts; nothing where none was timed."""
    latencies = [row.latency for row in report.rows]
    buckets = next((latency.buckets for latency in latencies if latency), ())
    headings = [f"{b.low_tokens} to {b.high_tokens} tokens ({b.samples})" for b in buckets]
    cells = [_bucket_cells(latency.buckets if latency else (), len(buckets)) for latency in latencies]
    return _table(report, headings, cells) if buckets else ""


def scenario_table(report: Report) -> str:
    """Return the scenarios and cold starts; nothing where none was measured."""
    if not any(row.scenarios or row.cold_start for row in report.rows):
        return ""
    headings = (
        "batch texts/s",
        "p50 ms after a pause",
        "CPU ms after a pause",
        "arrivals/s within p99",
        "memory growth",
        "start ms, cached",
        "start ms, uncached",
    )
    return _table(report, headings, [_scenario_cells(row) for row in report.rows])


def target_table(report: Report) -> str:
    """Return the targets with their machines; nothing where there is only one."""
    if len(report.targets) < 2:
        return ""
    headings = ("evidence", "largest logit difference", "smallest memory cap", "processor", "onnxruntime")
    targets = {target.name: target for target in report.targets}
    return _table(report, headings, [_target_cells(row, targets[row.target]) for row in report.rows])


def _scenario_cells(row: Row) -> list[Cell]:
    scenarios, cold = row.scenarios, row.cold_start
    return [
        f"{scenarios.offline_texts_per_s:,.0f}" if scenarios else NOTHING,
        milliseconds(scenarios.paced_p50_ms if scenarios else None),
        milliseconds(scenarios.paced_cpu_ms_per_text if scenarios else None),
        f"{scenarios.server_rate_per_s:,.0f}" if scenarios and scenarios.server_rate_per_s else NOTHING,
        megabytes(scenarios.growth_bytes if scenarios else None),
        milliseconds(median(cold.warm_ms) if cold else None),
        milliseconds(median(cold.evicted_ms) if cold and cold.evicted_ms else None),
    ]


def _target_cells(row: Row, target: TargetRecord) -> list[Cell]:
    return [
        row.evidence,
        NOTHING if row.logit_difference is None else f"{row.logit_difference:.2g}",
        megabytes(row.memory.smallest_cap_bytes if row.memory else None),
        target.environment.processor,
        target.environment.versions.get("onnxruntime", NOTHING),
    ]


def _with_interval(metric: str, interval: Interval | None) -> Cell:
    if interval is None:
        return NOTHING
    return format_metric(metric, interval.value), bounds(metric, interval)


def _cell(cell: Cell) -> str:
    text, note = (cell, "") if isinstance(cell, str) else cell
    return f"<td>{escaped(text)}{f'<small>{escaped(note)}</small>' if note else ''}</td>"


def _main_cells(row: Row, report: Report) -> list[Cell]:
    latency = row.latency
    return [
        _with_interval(report.metric, row.quality.headline),
        milliseconds(latency.p50_ms.value if latency else None),
        milliseconds(latency.p90_ms if latency else None),
        milliseconds(latency.p99_ms if latency else None),
        megabytes(row.memory.peak_rss_bytes if row.memory else None),
        megabytes(row.size_bytes),
        times(row.speed_up),
    ]


def _detail_cells(row: Row) -> list[Cell]:
    latency, start, quality = row.latency, row.start, row.quality
    return [
        _with_interval("macro_f1", quality.macro_f1),
        _with_interval("agreement", quality.agreement),
        f"{quality.kl_nats.value:.4f}" if quality.kl_nats else NOTHING,
        f"{latency.tokenize_p50_ms:.3f}" if latency else NOTHING,
        milliseconds(latency.cpu_ms_per_text if latency else None),
        milliseconds(start.import_ms if start else None),
        milliseconds(start.load_ms if start else None),
        milliseconds(start.first_answer_ms if start else None),
        megabytes(row.memory.uss_bytes if row.memory else None),
        row.evidence,
    ]


def _bucket_cells(buckets: Sequence[Bucket], count: int) -> list[Cell]:
    return [milliseconds(bucket.p50_ms) for bucket in buckets] if buckets else [NOTHING] * count


def _table(report: Report, headings: Sequence[str], cells: Sequence[Sequence[Cell]]) -> str:
    verdict = reach_verdict(report)
    head = "".join(f"<th>{escaped(name)}</th>" for name in ("variant", *headings))
    body = ""
    for row, texts in zip(report.rows, cells, strict=True):
        mark = ' class="best"' if verdict and row is verdict.subject else ""
        name = f'<td><i class="{colour(row, report.rows)}"></i>{escaped(row_name(row))}</td>'
        body += f"<tr{mark}>{name}{''.join(map(_cell, texts))}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
