"""The verdict: what the student gives and costs against the reference, in one or two sentences."""

from dataclasses import dataclass

from mixkd.bench.render.text import three_figures
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
        points: The main metric of the subject less that of the reference, in points of a hundred.
    """

    subject: Row
    reference: Row
    faster: Interval | None
    smaller: float | None
    lighter: float | None
    points: float | None


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
        points=100 * (headlines[1].value - headlines[0].value) if headlines[0] and headlines[1] else None,
    )


def _factor(larger: int | None, smaller: int | None) -> float | None:
    return larger / smaller if larger and smaller else None


def verdict_sentence(report: Report) -> str:
    """Return the verdict as one sentence."""
    verdict = reach_verdict(report)
    if verdict is None:
        return f"{report.rows[0].label} was measured alone: give --teacher to compare."
    gains = [
        f"{three_figures(factor)} times {word}"
        for factor, word in (
            (verdict.faster.value if verdict.faster else None, "faster"),
            (verdict.smaller, "smaller"),
            (verdict.lighter, "lighter in memory"),
        )
        if factor is not None
    ]
    loss = "" if verdict.points is None else f", {_loss(verdict.points, report.metric_name)}"
    what = (
        " and ".join(filter(None, [", ".join(gains[:-1]), gains[-1]])) if gains else "not comparable in cost"
    )
    return f"{verdict.subject.label} is {what} than {verdict.reference.label}{loss}."


def _loss(points: float, metric: str) -> str:
    if abs(points) < 0.005:
        return f"at the same {metric}"
    return f"{abs(points):.2f} points of {metric} {'below' if points < 0 else 'above'} it"
