"""The verdict: what the student gives and costs against the reference, in one or two sentences."""

from dataclasses import dataclass

from mixkd.bench.render.cells import metric_difference, three_figures
from mixkd.bench.report.figures import Interval
from mixkd.bench.report.schema import Report, Row
from mixkd.bench.variants import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The four figures that decide; each None where either side has none.

    Attributes:
        subject: The row that is judged.
        reference: The row it is judged against.
        faster: Factor of the median latency.
        smaller: Factor of the weight files.
        lighter: Factor of the peak memory.
        gain: The main metric of the subject less that of the reference.
    """

    subject: Row
    reference: Row
    faster: Interval | None
    smaller: float | None
    lighter: float | None
    gain: float | None


def reach_verdict(report: Report) -> Verdict | None:
    """Return the verdict on the int8 student, else the last row, or None with nothing to compare."""
    reference = report.row(report.reference) if report.reference else None
    if reference is None:
        return None
    subject = report.row(Kind.STUDENT_INT8) or report.rows[-1]
    memories = [row.memory.peak_rss_bytes if row.memory else None for row in (reference, subject)]
    headlines = [row.quality.headline for row in (reference, subject)]
    return Verdict(
        subject=subject,
        reference=reference,
        faster=subject.speed_up,
        smaller=_factor(reference.size_bytes, subject.size_bytes),
        lighter=_factor(*memories),
        gain=headlines[1].value - headlines[0].value if headlines[0] and headlines[1] else None,
    )


def _factor(larger: int | None, smaller: int | None) -> float | None:
    return larger / smaller if larger and smaller else None


def verdict_sentence(report: Report) -> str:
    """Return the verdict as one sentence."""
    verdict = reach_verdict(report)
    if verdict is None:
        return f"{report.rows[0].label} was measured alone: give --teacher to compare."
    factors = [
        _comparative(factor, *words)
        for factor, words in (
            (verdict.faster.value if verdict.faster else None, ("faster", "slower")),
            (verdict.smaller, ("smaller", "larger")),
            (verdict.lighter, ("lighter in memory", "heavier in memory")),
        )
        if factor is not None
    ]
    subject, reference = verdict.subject.label, verdict.reference.label
    quality = None if verdict.gain is None else _change_of_quality(verdict.gain, report)
    if not factors:
        return f"{subject} answers {quality or 'with unknown quality'}, compared with {reference}."
    said = " and ".join(filter(None, [", ".join(factors[:-1]), factors[-1]]))
    return f"{subject} is {said} than {reference}{f', {quality}' if quality else ''}."


def _comparative(factor: float, more: str, less: str) -> str:
    return f"{three_figures(max(factor, 1 / factor))} times {more if factor >= 1 else less}"


def _change_of_quality(gain: float, report: Report) -> str:
    size = metric_difference(report.metric, gain)
    if not float(size.split()[0]):
        return f"with the same {report.metric_name}"
    return f"with {report.metric_name} {'lower' if gain < 0 else 'higher'} by {size}"
