"""`report.html`: one file without scripts, which loads nothing; every text is escaped."""

from collections.abc import Callable
from importlib.resources import files

from mixkd.bench.render import page_tables
from mixkd.bench.render.cells import (
    NOTHING,
    absent_name,
    main_quality,
    megabytes,
    milliseconds,
    signed_difference,
    times,
)
from mixkd.bench.render.panels import trade_offs
from mixkd.bench.render.svg import escaped
from mixkd.bench.render.verdict import reach_verdict, verdict_sentence
from mixkd.bench.report.figures import Interval
from mixkd.bench.report.schema import Report, Row
from mixkd.metrics import format_rate

_MINUS = "\N{MINUS SIGN}"
_UNBROKEN_HYPHEN = "\N{NON-BREAKING HYPHEN}"


def render_page(report: Report) -> str:
    """Return `report.html`."""
    headline = verdict_sentence(report).replace("-", _UNBROKEN_HYPHEN)
    body = "\n".join(
        [
            f'<p class="over">{escaped(_overline(report))}</p>',
            f"<h1>{escaped(headline)}</h1>",
            _figures(report),
            _notices(report),
            "<h2>Variants</h2>",
            page_tables.main_table(report),
            _absent(report),
            "<h2>Trade-offs</h2>",
            trade_offs(report),
            "<h2>Details</h2>",
            page_tables.detail_table(report),
            page_tables.length_table(report),
            page_tables.scenario_table(report),
            page_tables.target_table(report),
            "<h2>Method</h2>",
            f'<div class="method">{"".join(f"<p>{escaped(text)}</p>" for text in report.method)}</div>',
            "<h2>Machine and data</h2>",
            _facts(report),
        ]
    )
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(report.title)}: mkd bench</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _overline(report: Report) -> str:
    day = report.created.partition("T")[0]
    return f"mkd bench · {report.title} · {report.data.name} {report.data.split} · {day}"


def _figures(report: Report) -> str:
    verdict = reach_verdict(report)
    if verdict is None:
        return ""
    reference, subject = verdict.reference, verdict.subject
    slow, fast = reference.latency, subject.latency
    memories = [row.memory.peak_rss_bytes if row.memory else None for row in (reference, subject)]
    return (
        '<dl class="figures">'
        + _figure(
            "faster",
            times(verdict.faster),
            f"p50 {milliseconds(slow.p50_ms.value)} → {milliseconds(fast.p50_ms.value)} ms"
            if slow and fast
            else "",
            _between(verdict.faster, times),
        )
        + _figure(
            "smaller",
            times(verdict.smaller),
            f"weights {megabytes(reference.size_bytes)} → {megabytes(subject.size_bytes)}",
        )
        + _figure(
            "lighter", times(verdict.lighter), f"peak {megabytes(memories[0])} → {megabytes(memories[1])}"
        )
        + _figure(
            report.metric_name,
            NOTHING
            if verdict.gain is None
            else signed_difference(report.metric, verdict.gain).replace("-", _MINUS),
            f"{main_quality(reference, report)} → {main_quality(subject, report)}",
            _agreement(subject),
        )
        + "</dl>"
    )


def _gain(gain: float | None, report: Report) -> str:
    return NOTHING if gain is None else signed_difference(report.metric, gain).replace("-", _MINUS)


def _figure(name: str, value: str, *notes: str) -> str:
    small = "".join(f"<small>{escaped(note)}</small>" for note in notes if note)
    return f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}{small}</dd></div>"


def _agreement(row: Row) -> str:
    same = row.quality.agreement
    return f"{format_rate(same.value)} of answers unchanged" if same else ""


def _between(interval: Interval | None, write: Callable[[float], str]) -> str:
    return f"95 %: {write(interval.low)} to {write(interval.high)}" if interval else ""


def _notices(report: Report) -> str:
    if not report.warnings:
        return ""
    said = "; ".join(report.warnings)
    return (
        f'<p class="notice"><strong>Noisy run:</strong> {escaped(said)}. '
        "Speed-ups are affected less than single latencies, as the variants take turns; "
        "measure again on an idle machine.</p>"
    )


def _absent(report: Report) -> str:
    items = "".join(
        f"<li>{escaped(absent_name(a))} is absent: {escaped(a.reason)}</li>" for a in report.absent
    )
    return f'<ul class="absent">{items}</ul>' if items else ""


def _facts(report: Report) -> str:
    machine, noise, data = report.targets[0].environment, report.targets[0].noise, report.data
    quota = f", quota {machine.cpu_quota:g}" if machine.cpu_quota else ""
    cap = f", capped at {megabytes(machine.memory_limit_bytes)}" if machine.memory_limit_bytes else ""
    facts = {
        "Processor": f"{machine.processor}, {machine.usable_cores} of {machine.cores} cores{quota}",
        "Instructions": " ".join(machine.isa) or "unknown",
        "System": f"{machine.system}, {machine.machine}",
        "Memory": megabytes(machine.memory_bytes) + cap,
        "Governor": machine.governor or "unknown",
        "Noise": f"other processes used {noise.others_cores:.2f} cores" if noise else "unknown",
        "Versions": ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        "Data": f"{data.name} {data.split}, {data.judged_rows:,} of {data.rows:,} rows judged",
        "Lengths": f"tokens per text: p50 {data.tokens_p50}, p90 {data.tokens_p90}, "
        f"longest {data.tokens_longest}, truncated at {report.max_length}",
        "Data sha256": data.sha256,
        "Threads": str(report.config.threads),
        "Measured": report.created,
    }
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in facts.items())
    return f'<dl class="facts">{items}</dl>'
