"""A `report.json` of a stranger: one line, within a time and a memory that the file can't choose."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mixkd.bench.compare import compare_reports
from mixkd.bench.report.files import read_report, to_json
from mixkd.bench.report.schema import Report, Row
from mixkd.errors import MeasureError

Change = Callable[[dict[str, Any]], object]


def samples(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["rows"][0]["samples"]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda body: body["config"].update(resamples=10**9),
            r"config: .*--resamples must be .*at most 100000",
        ),
        (lambda body: body["config"].update(seed=-1), r"config: .*--seed must be at least 0, not -1"),
        (lambda body: body["config"].update(threads="1"), r"config\.threads is '1', not an integer"),
        (lambda body: body.update(targets=[]), "it has no target"),
        (lambda body: body.update(rows={}), "rows is an object, not a list"),
        (
            lambda body: body["rows"][0].update(evidence="trust me"),
            r"rows\[0\]\.evidence is 'trust me', none of",
        ),
        (lambda body: body["rows"][0].update(size_bytes=-1), r"rows\[0\]\.size_bytes is -1"),
        (lambda body: samples(body)["total_ns"].pop(), "must have the same length"),
        (lambda body: samples(body)["cpu_ns"].pop(), "can't be cut into 7 equal blocks"),
        (lambda body: samples(body).update(cpu_ns=[]), "can't be cut into 0 equal blocks"),
        (lambda body: samples(body)["total_ns"].__setitem__(5, 0), r"samples\.total_ns\[5\] is 0"),
        (
            lambda body: samples(body)["total_ns"].__setitem__(5, 1e300),
            r"total_ns\[5\] is 1e\+300, not an integer",
        ),
        (
            lambda body: body["rows"][0]["quality"].update(headline=[1, 2]),
            "headline is a list, not an object",
        ),
        (lambda body: body["rows"][0]["quality"]["headline"].update(low=None), "low is None, not a number"),
        (lambda body: body["rows"][0]["quality"]["headline"].update(low=10**400), "low is a huge integer"),
        (lambda body: body.update(title="\x1b[2J" * 5000), "the length of title is 20000"),
        (lambda body: body.update(schema_version=[[[]]]), "schema version a list"),
        (lambda body: body.update(schema_version="\x1b[2J"), r"schema version '\\x1b\[2J'"),
    ],
)
def test_mistyped_report_is_refused_where_it_is_wrong(
    report: Report, tmp_path: Path, change: Change, said: str
) -> None:
    body = json.loads(to_json(report))
    change(body)
    assert_refused(json.dumps(body).encode(), said, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"rows"', b'"rows": NaN, "x"', "NaN is no number in JSON"),
        (b'"rows"', b'"deep": ' + b"[" * 10**6 + b', "rows"', "nested too deeply"),
        (b'"rows"', b'"many": ' + b"9" * 5000 + b', "rows"', "it is not JSON"),
        (b'"rows"', b'"\xff"', "it is not JSON"),
        (b'"p50_ms": {', b'"p50_ms": {"value": 1e999, "low": 1, "high": 1}, "x": {', "p50_ms.value is inf"),
    ],
)
def test_text_that_is_no_report_is_refused(
    report: Report, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    assert_refused(to_json(report).encode().replace(old, new, 1), said, tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_report_is_refused(report: Report, tmp_path: Path, share: float) -> None:
    text = to_json(report).encode()
    assert_refused(text[: int(len(text) * share)], "not a report of mkd bench", tmp_path)


def test_file_of_another_kind_is_not_read_to_its_end() -> None:
    with pytest.raises(MeasureError, match="/dev/zero is larger than 32 MiB: not a report"):
        read_report(Path("/dev/zero"))


def test_comparison_that_would_take_hours_is_refused(report: Report) -> None:
    row = report.rows[0]
    assert row.samples is not None
    many = {name: getattr(row.samples, name) * 1000 for name in ("text", "total_ns", "tokenize_ns", "cpu_ns")}
    large = replace(
        report,
        rows=(replace(row, samples=replace(row.samples, **many)),),
        config=replace(report.config, resamples=100_000),
    )
    with pytest.raises(MeasureError, match="100000 resamples of 128000 samples are too many to compare"):
        compare_reports(large, large)


def test_one_row_repeated_does_not_multiply_the_work(report: Report) -> None:
    row = report.rows[0]
    assert row.samples is not None
    many = {name: getattr(row.samples, name) * 100 for name in ("text", "total_ns", "tokenize_ns", "cpu_ns")}
    large = replace(report, rows=(replace(row, samples=replace(row.samples, **many)),))
    copies: tuple[Row, ...] = (row,) * 10_000
    with pytest.raises(MeasureError, match="are too many to compare"):
        compare_reports(large, replace(report, rows=copies))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"rows"', b'"deep": ' + b"[" * 10**6 + b', "rows"'),
        (b'"resamples": 200', b'"resamples": 1000000000'),
    ],
)
def test_command_ends_in_one_line(report: Report, tmp_path: Path, old: bytes, new: bytes) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(to_json(report), encoding="utf-8")
    bad.write_bytes(good.read_bytes().replace(old, new, 1))
    for pair in ((good, bad), (bad, good)):
        command = [sys.executable, "-m", "mixkd.cli", "compare", *map(str, pair)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert ran.stdout == ""
        assert ran.stderr.startswith(f"mkd: {bad} is ")
        assert len(ran.stderr.splitlines()) == 1


def assert_refused(text: bytes, said: str, folder: Path) -> None:
    path = folder / "report.json"
    path.write_bytes(text)
    with pytest.raises(MeasureError, match=said) as caught:
        read_report(path)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(str(path))
