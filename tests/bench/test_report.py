import json
import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mixkd.bench.render.markdown import render_markdown
from mixkd.bench.render.page import render_page
from mixkd.bench.render.text import render_table
from mixkd.bench.render.verdict import reach_verdict, verdict_sentence
from mixkd.bench.report import figures, schema
from mixkd.bench.report.figures import Evidence
from mixkd.bench.report.files import read_report, to_json, write_report
from mixkd.bench.report.intervals import wilson
from mixkd.bench.report.schema import SCHEMA_VERSION, Report
from mixkd.errors import MeasureError


def test_report_reads_back_as_it_was_written(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    assert read_report(tmp_path / "report.json") == report


def test_json_names_its_schema_and_keeps_every_sample(report: Report) -> None:
    body = json.loads(to_json(report))
    assert body["schema_version"] == SCHEMA_VERSION
    assert all(len(row["samples"]["total_ns"]) == 64 for row in body["rows"])


def test_every_field_of_the_schema_is_documented() -> None:
    values = [value for module in (figures, schema) for value in vars(module).values()]
    classes = {value for value in values if isinstance(value, type) and is_dataclass(value)}
    for cls in classes:
        documented = cls.__doc__ or ""
        named = [f.name for f in fields(cls) if f"{f.name}:" in documented or f"`{f.name}`" in documented]
        if "Attributes:" in documented:
            assert named == [f.name for f in fields(cls)], cls.__name__


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not a report"), ("[]", "schema version None"), ('{"schema_version": 2}', "damaged")],
)
def test_damaged_report_gets_one_clear_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MeasureError, match=said):
        read_report(path)


def test_page_loads_nothing_and_escapes_everything(report: Report) -> None:
    hostile = '<script>alert("x")</script><img src=http://elsewhere>'
    rows = (replace(report.rows[0], label=hostile), *report.rows[1:])
    absent = (replace(report.absent[0], reason=hostile),)
    page = render_page(replace(report, title=hostile, rows=rows, absent=absent))
    tags = _Tags()
    tags.feed(page)
    assert tags.names.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "base"})
    assert tags.attributes.isdisjoint({"src", "href", "onload", "style"})
    assert "@import" not in page
    assert "url(" not in page


HOSTILE = "\x1b]0;owned\x07 \u202egpj\n| forged | line |\ud800"
"""What a terminal would obey, what turns text round, a line break, a lone surrogate."""


def saying(report: Report, text: str) -> Report:
    """Return the report with a text wherever a text comes from outside."""
    target = report.targets[0]
    assert target.noise is not None
    machine = replace(target.environment, processor=text, versions={text: text, "onnxruntime": text})
    return replace(
        report,
        title=text,
        rows=tuple(replace(row, label=text + row.label) for row in report.rows),
        absent=tuple(replace(absent, label=text, reason=text) for absent in report.absent),
        data=replace(report.data, name=text, split=text),
        targets=(replace(target, environment=machine, noise=replace(target.noise, warnings=(text,))),),
    )


def test_text_from_outside_stays_text_in_every_form(report: Report, tmp_path: Path) -> None:
    hostile = saying(report, HOSTILE)
    write_report(hostile, tmp_path)
    assert read_report(tmp_path / "report.json") == hostile
    for render in (render_page, render_markdown):
        text = render(hostile)
        assert not set(text) & set("\x1b\x07\u202e"), render
        assert text.encode("utf-8"), render
        assert len(text.splitlines()) == len(render(saying(report, "x")).splitlines()), render
    assert all(line.isprintable() and "\\x1b" in line for line in render_table(hostile)[2:])


def test_page_is_well_formed_and_shows_every_row(report: Report) -> None:
    page = render_page(report)
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    for row in report.rows:
        assert f"</i>{row.label}</td>" in page
    assert page.index("<h1>") < page.index("<table>") < page.index("Method")
    assert page.count("<svg") == 6


def test_older_report_of_the_same_schema_is_read(report: Report, tmp_path: Path) -> None:
    body = json.loads(to_json(report))
    for row in body["rows"]:
        del row["quality"]["macro_f1"]  # came later
    path = tmp_path / "report.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    rows = tuple(replace(row, quality=replace(row.quality, macro_f1=None)) for row in report.rows)
    assert read_report(path) == replace(report, rows=rows)


def test_shares_stand_with_their_intervals(report: Report) -> None:
    page = render_page(report)
    headline = report.rows[0].quality.headline
    assert headline is not None
    low, high = 100 * headline.low, 100 * headline.high
    assert f"<td>{100 * headline.value:.2f} %<small>{low:.1f} to {high:.1f}</small></td>" in page


def test_page_has_charts_for_every_timed_target(report: Report) -> None:
    capped = replace(report.targets[0], name="profile:pi-4", evidence=Evidence.CAPPED_HOST)
    emulated = replace(report.targets[0], name="emulate:aarch64", evidence=Evidence.EMULATED)
    timed = [replace(row, target="profile:pi-4", evidence=Evidence.CAPPED_HOST) for row in report.rows]
    bare = [
        replace(
            row, target="emulate:aarch64", evidence=Evidence.EMULATED, latency=None, memory=None, samples=None
        )
        for row in report.rows
    ]
    everywhere = replace(
        report, rows=(*report.rows, *timed, *bare), targets=(*report.targets, capped, emulated)
    )
    page = render_page(everywhere)
    # Six for the first target, four more of the second, two that hold both; an emulator has only answers.
    assert page.count("<svg") == 6 + 4 + 2
    assert page.count('class="dot open ') == 2 * len(timed)
    assert "latency is this processor" in page
    assert "<h3>profile:pi-4</h3>" in page
    assert "<h3>emulate:aarch64</h3>" not in page


def test_energy_is_a_column_only_where_the_machine_tells(report: Report) -> None:
    assert "energy mJ" not in render_page(report)
    first = report.rows[0]
    assert first.latency is not None
    told = replace(first, latency=replace(first.latency, energy_mj_per_text=41.25))
    page = render_page(replace(report, rows=(told, *report.rows[1:])))
    assert "<th>energy mJ per text</th>" in page
    assert "<td>41.2</td>" in page


def test_verdict_gives_the_four_figures(report: Report) -> None:
    verdict = reach_verdict(report)
    assert verdict is not None
    assert verdict.subject.label == "student-int8"
    assert verdict.reference.label == "teacher-torch"
    assert verdict.faster == verdict.subject.speed_up
    assert verdict.smaller == pytest.approx(1000 / verdict.subject.size_bytes)


def test_verdict_says_the_loss_in_points(report: Report) -> None:
    shares = {"teacher-torch": 960, "student-int8": 951}
    rows = tuple(
        replace(r, quality=replace(r.quality, headline=wilson(shares[r.label], 1000)))
        for r in report.rows
        if r.label in shares
    )
    assert verdict_sentence(replace(report, rows=rows)).endswith(", with accuracy lower by 0.90 points.")


def test_table_has_teacher_and_student_rows_in_columns(report: Report) -> None:
    lines = render_table(report)
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        "accuracy", "p50 ms", "p90 ms", "peak memory", "size", "speed-up",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[2:]] == ["teacher-torch", "student-fp32", "student-int8"]
    assert all(len(re.split(r"\s{2,}", line)) == 7 for line in lines[2:])


class _Tags(HTMLParser):
    """Collects what stands in a page, and what is left open."""

    VOID = frozenset({"meta", "br", "link", "img", "base"})

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
