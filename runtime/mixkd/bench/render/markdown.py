"""The report for a pull request: the verdict, one table, where it was measured."""

from mixkd.bench.render.cells import absent_name, cells, headings
from mixkd.bench.render.verdict import verdict_sentence
from mixkd.bench.report.schema import Report
from mixkd.console import visible


def render_markdown(report: Report) -> str:
    """Return `report.md`."""
    names = headings(report)
    rule = "|---|" + "---:|" * (len(names) - 1)
    table = [_row(names), rule, *(_row(cells(row, report)) for row in report.rows)]
    environment, data = report.targets[0].environment, report.data
    plural = "" if report.config.threads == 1 else "s"
    lines = [
        f"### {plain(report.title)}",
        "",
        plain(verdict_sentence(report)),
        "",
        *table,
        "",
        *(f"- {plain(absent_name(absent))} is absent: {plain(absent.reason)}" for absent in report.absent),
        *(f"- **Noisy run**: {plain(warning)}." for warning in report.warnings),
        "",
        f"{plain(data.name)} {plain(data.split)}, {data.judged_rows:,} rows judged; "
        f"{plain(environment.processor)}, {report.config.threads} thread{plural}, "
        f"onnxruntime {plain(environment.versions.get('onnxruntime', 'unknown'))}; {plain(report.created)}.",
    ]
    return "\n".join(lines) + "\n"


def _row(texts: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(plain, texts))} |"


def plain(text: str) -> str:
    """Return a text that is not read as markup: one line, without control characters."""
    text = visible(" ".join(text.split()))
    for mark in "\\|<>*_`[]":
        text = text.replace(mark, "\\" + mark)
    return text
