"""The page's tables: what decides, what explains it, and latency by length."""

from collections.abc import Sequence
from html import escape

from mixkd.runtime.bench.charts import colour
from mixkd.runtime.bench.report import Bucket, Report, Row
from mixkd.runtime.bench.table import NOTHING, main_quality, megabytes, milliseconds, percent, row_name, times
from mixkd.runtime.bench.verdict import reach_verdict


def main_table(report: Report) -> str:
    """Return the variants with the figures that decide."""
    headings = (report.metric, "p50 ms", "p90 ms", "p99 ms", "peak memory", "size", "speed-up")
    return _table(report, headings, [_main_cells(row) for row in report.rows])


def detail_table(report: Report) -> str:
    """Return what explains the figures: agreement, parts of the latency, start, evidence."""
    headings = (
        "agreement",
        "KL nats",
        "tokenize ms",
        "CPU ms per text",
        "import ms",
        "load ms",
        "first ms",
        "private memory",
        "evidence",
    )
    return _table(report, headings, [_detail_cells(row) for row in report.rows])


def length_table(report: Report) -> str:
    """Return the median latency by length bucket of the user's own texts; nothing where none was timed."""
    latencies = [row.latency for row in report.rows]
    buckets = next((latency.buckets for latency in latencies if latency), ())
    headings = [f"{b.low_tokens} to {b.high_tokens} tokens ({b.samples})" for b in buckets]
    cells = [_bucket_cells(latency.buckets if latency else (), len(buckets)) for latency in latencies]
    return _table(report, headings, cells) if buckets else ""


def _main_cells(row: Row) -> list[str]:
    latency = row.latency
    return [
        main_quality(row),
        milliseconds(latency.p50_ms.value if latency else None),
        milliseconds(latency.p90_ms if latency else None),
        milliseconds(latency.p99_ms if latency else None),
        megabytes(row.memory.peak_rss_bytes if row.memory else None),
        megabytes(row.size_bytes),
        times(row.speed_up),
    ]


def _detail_cells(row: Row) -> list[str]:
    latency, start, quality = row.latency, row.start, row.quality
    return [
        percent(quality.agreement.value) if quality.agreement else NOTHING,
        f"{quality.kl_nats.value:.4f}" if quality.kl_nats else NOTHING,
        f"{latency.tokenize_p50_ms:.3f}" if latency else NOTHING,
        milliseconds(latency.cpu_ms_per_text if latency else None),
        milliseconds(start.import_ms if start else None),
        milliseconds(start.load_ms if start else None),
        milliseconds(start.first_answer_ms if start else None),
        megabytes(row.memory.uss_bytes if row.memory else None),
        row.evidence,
    ]


def _bucket_cells(buckets: Sequence[Bucket], count: int) -> list[str]:
    return [milliseconds(bucket.p50_ms) for bucket in buckets] or [NOTHING] * count


def _table(report: Report, headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    verdict = reach_verdict(report)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("variant", *headings))
    body = ""
    for row, texts in zip(report.rows, cells, strict=True):
        mark = ' class="best"' if verdict and row is verdict.subject else ""
        name = f'<td><i class="{colour(row, report.rows)}"></i>{escape(row_name(row))}</td>'
        body += f"<tr{mark}>{name}{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
