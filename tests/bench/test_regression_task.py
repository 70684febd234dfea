"""A regression's metric is a correlation: a number in every rendering, nowhere a percentage."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mixkd.bench import BenchConfig, Report, bench
from mixkd.bench.compare import Figure, compare_reports
from mixkd.bench.render.markdown import render_markdown
from mixkd.bench.render.page import render_page
from mixkd.bench.render.text import render_comparison, render_table
from mixkd.bench.render.verdict import verdict_sentence
from mixkd.bench.report.figures import Interval
from mixkd.bench.report.files import read_report
from mixkd.bench.report.schema import Row

pytest.importorskip("torch", reason="exporting a regression needs the export extra")

# 1.0000, 0.9876 or -0.1234, as `format_metric` writes a correlation.
CORRELATION = r"-?[01]\.\d{4}"
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real report of a regression: the teacher in PyTorch and ONNX, its export in fp32 and int8."""
    import torch

    from mixkd.export import ExportConfig, export
    from tests.tiny import tiny_classifier, tiny_texts, tiny_tokenizer, write_student

    folder = tmp_path_factory.mktemp("regression")
    model = tiny_classifier("bert", num_labels=1, problem_type="regression")
    teacher = write_student(folder / "teacher", model)
    tokenizer, texts = tiny_tokenizer(), tiny_texts(40)
    with torch.inference_mode():
        scores = [float(model(**tokenizer(text, return_tensors="pt")).logits) for text in texts]
    lines = [
        f"{text}\t{score + 0.3 * (i % 3):.4f}"
        for i, (text, score) in enumerate(zip(texts, scores, strict=True))
    ]
    (folder / "test.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    export(teacher, folder / "bundle", config=ExportConfig(keep_fp32=True))
    config = BenchConfig(samples=64, block=8, curve_samples=0, resamples=100, teacher_int8=False)
    bench(folder / "bundle", folder, teacher=teacher, output=folder / "report", config=config)
    return folder / "report"


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return read_report(folder / "report.json")


def quality(row: Row) -> float:
    assert row.quality.headline is not None
    return row.quality.headline.value


def worse(report: Report, by: float) -> Report:
    """Return the report with the int8 student's correlation lower by so much, and little doubt about it."""
    row = report.row("student-int8")
    assert row is not None
    value = quality(row) - by
    headline = Interval(value, value - 0.001, value + 0.001)
    lower = replace(row, quality=replace(row.quality, headline=headline))
    return replace(report, rows=tuple(lower if other is row else other for other in report.rows))


def test_report_has_the_correlation(report: Report) -> None:
    assert report.metric == "pearson"
    assert [row.label for row in report.rows] == [
        "teacher-torch",
        "teacher-onnx",
        "student-fp32",
        "student-int8",
    ]
    assert all(0 < quality(row) < 1 for row in report.rows)


def test_table_has_numbers(report: Report) -> None:
    lines = render_table(report)
    assert lines[0].split()[0] == "pearson"
    for line, row in zip(lines[2:], report.rows, strict=True):
        assert line.split()[1] == f"{quality(row):.4f}"
    assert "%" not in "".join(lines)


def test_verdict_and_markdown_have_numbers(report: Report) -> None:
    lower = worse(report, 0.25)
    gain = quality(lower.rows[-1]) - quality(lower.rows[0])
    assert verdict_sentence(lower).endswith(f", with pearson lower by {-gain:.4f}.")
    text = render_markdown(lower)
    assert "%" not in text
    assert f"| {quality(lower.rows[-1]):.4f} |" in text


def test_page_and_charts_have_numbers(report: Report) -> None:
    page = _Words()
    page.feed(render_page(worse(report, 0.25)))
    # The only percentage is that of the intervals.
    assert {share for word in page.words for share in re.findall(r"[\d.]+ ?%", word)} == {"95 %"}
    assert re.search(rf"^{CORRELATION} → {CORRELATION}$", "\n".join(page.words), re.MULTILINE)
    assert re.search(rf"^[+{MINUS}]{CORRELATION}$", "\n".join(page.words), re.MULTILINE)
    assert re.search(rf"^{CORRELATION} to {CORRELATION}$", "\n".join(page.words), re.MULTILINE)
    axis = [float(word) for word in page.axis if re.fullmatch(r"-?\d(\.\d+)?", word)]
    assert any(0 < tick <= 1 for tick in axis)


def test_comparison_has_numbers_and_finds_the_loss(report: Report) -> None:
    comparison = compare_reports(worse(report, 0), worse(report, 0.25))
    (change,) = (c for c in comparison.changes if c.figure is Figure.QUALITY and c.label == "student-int8")
    assert change.regressed
    assert change.difference.value == pytest.approx(-0.25)
    (line,) = (line for line in render_comparison(comparison) if re.match("student-int8 +pearson", line))
    lower = rf"-0\.2500  +{CORRELATION} to {CORRELATION}"
    assert re.search(rf"  {CORRELATION}  +{CORRELATION}  +{lower}  REGRESSION", line)
    assert "%" not in line


def test_command_prints_numbers(folder: Path) -> None:
    path = str(folder / "report.json")
    done = subprocess.run(
        [sys.executable, "-m", "mixkd.cli", "compare", path, path, "--max-regression", "900%"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if "pearson" in line]
    assert len(lines) == 4
    assert all(re.search(rf"pearson +{CORRELATION} +{CORRELATION} +\+0\.0000", line) for line in lines)


class _Words(HTMLParser):
    """Collects a page's texts, and those of the charts' axes."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.axis: list[str] = []
        self._tag, self._axis = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag, self._axis = tag, tag == "text" and ("class", "axis end") in attrs

    def handle_data(self, data: str) -> None:
        if self._tag != "style":
            (self.axis if self._axis else self.words).append(data.strip())
