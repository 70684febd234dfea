import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixkd.bench.compare import compare_reports, parse_share
from mixkd.bench.render.text import render_comparison
from mixkd.bench.report.files import to_json
from mixkd.bench.report.intervals import wilson
from mixkd.bench.report.schema import Report, Row
from mixkd.errors import ConfigError, MeasureError


@pytest.fixture
def report(report: Report) -> Report:
    """The measured report with steady latencies in place of what a busy machine gave."""
    row = the(report)
    assert row.samples is not None
    total_ns = np.random.default_rng(8).normal(1e6, 5e4, len(row.samples.total_ns)).astype(int)
    return changed(report, row.label, samples=replace(row.samples, total_ns=tuple(total_ns.tolist())))


def changed(report: Report, label: str, **fields: object) -> Report:
    """Return the report with fields of one row replaced."""
    rows = tuple(replace(row, **fields) if row.label == label else row for row in report.rows)  # type: ignore[arg-type]  # fields of any type
    return replace(report, rows=rows)


def slowed(report: Report, factor: float) -> Report:
    row = the(report)
    assert row.samples is not None
    total_ns = tuple(round(ns * factor) for ns in row.samples.total_ns)
    return changed(report, row.label, samples=replace(row.samples, total_ns=total_ns))


def the(report: Report) -> Row:
    row = report.row("student-int8")
    assert row is not None
    return row


def test_report_against_itself_has_no_regression(report: Report) -> None:
    comparison = compare_reports(report, report)
    assert comparison.changes
    assert not comparison.regressions
    assert not comparison.notes


def test_slow_down_beyond_noise_is_a_regression(report: Report) -> None:
    worse = compare_reports(report, slowed(report, 1.2))
    assert {(c.label, c.figure) for c in worse.regressions} == {
        ("student-int8", "p50 ms"),
        ("student-int8", "p90 ms"),
    }
    assert not compare_reports(slowed(report, 1.2), report).regressions


def test_slow_down_within_what_is_allowed_is_none(report: Report) -> None:
    assert not compare_reports(report, slowed(report, 1.2), max_regression=0.25).regressions
    assert not compare_reports(report, slowed(report, 1.05)).regressions


def test_growth_of_the_file_counts_exactly(report: Report) -> None:
    size = the(report).size_bytes
    larger = changed(report, "student-int8", size_bytes=int(size * 1.06))
    assert [c.figure for c in compare_reports(report, larger).regressions] == ["size"]
    assert not compare_reports(report, larger, max_regression=0.07).regressions


@pytest.mark.parametrize(("right", "regressed"), [(9500, False), (9460, False), (9350, True)])
def test_accuracy_regresses_only_outside_the_interval(report: Report, right: int, regressed: bool) -> None:
    def with_accuracy(successes: int) -> Report:
        return changed(
            report, "student-int8", quality=replace(the(report).quality, headline=wilson(successes, 10_000))
        )

    comparison = compare_reports(with_accuracy(9500), with_accuracy(right))
    assert [c.name for c in comparison.regressions] == (["accuracy"] if regressed else [])


def test_other_processor_or_texts_are_not_compared(report: Report) -> None:
    place = report.targets[0]
    other = replace(place, environment=replace(place.environment, processor="another"))
    comparison = compare_reports(
        report, replace(report, targets=(other,), data=replace(report.data, sha256="0"))
    )
    assert {change.figure for change in comparison.changes} == {"size", "peak memory"}
    assert len(comparison.notes) == 2


def test_reports_without_a_common_variant_are_refused(report: Report) -> None:
    renamed = replace(report, rows=tuple(replace(row, label=row.label + "-2") for row in report.rows))
    with pytest.raises(MeasureError, match="share no variant"):
        compare_reports(report, renamed)


def test_table_marks_the_regression(report: Report) -> None:
    lines = render_comparison(compare_reports(report, slowed(report, 1.2)))
    assert sum("REGRESSION" in line for line in lines) == 2


@pytest.mark.parametrize(("word", "share"), [("5%", 0.05), ("0.2", 0.2), ("0%", 0.0)])
def test_share_is_read_as_percent_or_fraction(word: str, share: float) -> None:
    assert parse_share(word) == share


@pytest.mark.parametrize("word", ["five", "-1%", "5 apples", "nan", ""])
def test_impossible_share_is_refused(word: str) -> None:
    with pytest.raises(ConfigError):
        parse_share(word)


def test_command_ends_with_code_4_on_a_regression(report: Report, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(to_json(report), encoding="utf-8")
    new.write_text(to_json(slowed(report, 1.2)), encoding="utf-8")
    codes = [
        subprocess.run(
            [sys.executable, "-m", "mixkd.cli", "compare", str(first), str(second)],
            capture_output=True,
            check=False,
        ).returncode
        for first, second in ((old, new), (new, old))
    ]
    assert codes == [4, 0]


def test_comparing_loads_nothing_that_measures(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(to_json(report), encoding="utf-8")
    code = (
        "import sys; from mixkd.cli import app\n"
        f"try: app(['compare', {str(path)!r}, {str(path)!r}])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sorted(name for name in sys.modules if name.startswith('mixkd.bench.')))\n"
        "print(*{'onnxruntime', 'tokenizers', 'multiprocessing', 'psutil'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, bench_modules, engines = done.stdout.splitlines()
    assert set(bench_modules.split()) == {
        "mixkd.bench.commands",
        "mixkd.bench.compare",
        "mixkd.bench.config",
        "mixkd.bench.decode",
        "mixkd.bench.inputs",
        "mixkd.bench.render",
        "mixkd.bench.render.cells",
        "mixkd.bench.render.text",
        "mixkd.bench.report",
        "mixkd.bench.report.figures",
        "mixkd.bench.report.files",
        "mixkd.bench.report.intervals",
        "mixkd.bench.report.schema",
    }
    assert engines == ""
