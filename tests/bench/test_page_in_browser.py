"""The report in a real browser: on a desk, on a phone, in the dark, on paper."""

import re
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from mixkd.bench.render.page import render_page
from mixkd.bench.report.figures import Evidence
from mixkd.bench.report.files import write_report
from mixkd.bench.report.schema import Report
from tests.tools import need

pytestmark = pytest.mark.slow

Browse = Callable[..., str]

LIGHT, DARK = (0xFC, 0xFC, 0xFB), (0x14, 0x17, 0x1A)
PAPER_WIDTH = 718
"""A4 between margins of a centimetre, in CSS pixels."""

# Reads, inside the browser, how wide a page of the given width really is, and whether a table is cut.
HARNESS = """<!doctype html>
<iframe id=f width={width} height=3000 frameborder=0 srcdoc="{page}"></iframe><pre id=o></pre>
<script>
f.onload = () => {{
  const d = f.contentDocument, shown = d.documentElement;
  const cut = [...d.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth + 1).length;
  const small = [...d.querySelectorAll("svg")].filter(e => e.getBoundingClientRect().width < 250).length;
  o.textContent = `wide ${{shown.scrollWidth}} cut ${{cut}} small ${{small}}`;
}};
</script>"""


@pytest.fixture(scope="module")
def everywhere(report: Report) -> Report:
    """The measured report as if it had been taken on three targets with long names."""
    names = {
        "ssh://someone@board.example:2222?python=/opt/python/bin/python3": Evidence.DEVICE,
        "profile:pi-zero-2w": Evidence.CAPPED_HOST,
        "emulate:aarch64": Evidence.EMULATED,
    }
    rows, targets = list(report.rows), list(report.targets)
    for name, evidence in names.items():
        targets.append(replace(report.targets[0], name=name, evidence=evidence))
        for row in report.rows:
            moved = replace(row, target=name, evidence=evidence, logit_difference=0.01)
            if evidence is Evidence.EMULATED:
                moved = replace(moved, latency=None, memory=None, start=None, samples=None, speed_up=None)
            rows.append(moved)
    return replace(report, rows=tuple(rows), targets=tuple(targets))


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Return a function that runs the browser without a window and returns what it prints."""
    browser = need("chromium", package="chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}"]

    def run(page: Path, *words: str) -> str:
        done = subprocess.run(
            [browser, *flags, *words, page.as_uri()], check=True, capture_output=True, text=True, timeout=120
        )
        return done.stdout

    return run


def picture_of(browse: Browse, report: Report, folder: Path, *words: str) -> bytes:
    write_report(report, folder)
    picture = folder / "picture.png"
    browse(folder / "report.html", f"--screenshot={picture}", *words)
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return data


def top_left_pixel(png: bytes) -> tuple[int, ...]:
    """Return red, green, blue: of the first pixel every filter of PNG leaves the value."""
    bits, kind = png[24], png[25]
    assert (bits, kind) in {(8, 2), (8, 6)}
    chunks, at = b"", 8
    while at < len(png):
        length, name = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        chunks += png[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += length + 12
    return tuple(zlib.decompress(chunks)[1:4])


def laid_out(browse: Browse, page: str, width: int, folder: Path) -> dict[str, int]:
    """Return what the harness reads of a page in a frame of the width."""
    file = folder / "harness.html"
    file.write_text(HARNESS.format(width=width, page=escape(page)), encoding="utf-8")
    said = re.search(r"wide (\d+) cut (\d+) small (\d+)", browse(file, "--dump-dom"))
    assert said is not None
    return dict(zip(("wide", "cut", "small"), map(int, said.groups()), strict=True))


@pytest.mark.parametrize(("name", "width"), [("desktop", 1100), ("phone", 500)])
def test_page_fills_a_real_browser_window(
    report: Report, browse: Browse, tmp_path: Path, name: str, width: int
) -> None:
    data = picture_of(browse, report, tmp_path, f"--window-size={width},2600")
    assert int.from_bytes(data[16:20], "big") == width
    # A blank page of this size compresses to some 15 kB.
    assert len(data) > 60_000


@pytest.mark.parametrize(("setting", "colour"), [(0, DARK), (1, LIGHT)])
def test_page_follows_the_readers_colour_scheme(
    everywhere: Report, browse: Browse, tmp_path: Path, setting: int, colour: tuple[int, ...]
) -> None:
    words = (f"--blink-settings=preferredColorScheme={setting}", "--window-size=1100,4200")
    data = picture_of(browse, everywhere, tmp_path, *words)
    assert top_left_pixel(data) == colour
    assert len(data) > 60_000


def test_phone_never_scrolls_sideways(everywhere: Report, browse: Browse, tmp_path: Path) -> None:
    found = laid_out(browse, render_page(everywhere), 360, tmp_path)
    assert found["wide"] <= 360
    assert found["small"] == 0  # every chart is as wide as the phone
    assert found["cut"] > 0  # tables scroll by themselves


def test_paper_shows_tables_whole(everywhere: Report, browse: Browse, tmp_path: Path) -> None:
    page = render_page(everywhere)
    printed = page.replace("@media print", "@media all")
    assert printed != page
    found = laid_out(browse, printed, PAPER_WIDTH, tmp_path)
    assert found["wide"] <= PAPER_WIDTH
    assert found["cut"] == 0


def test_report_prints_to_a_few_pages(everywhere: Report, browse: Browse, tmp_path: Path) -> None:
    write_report(everywhere, tmp_path)
    browse(tmp_path / "report.html", "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'report.pdf'}")
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))
    assert 3 <= pages <= 9
