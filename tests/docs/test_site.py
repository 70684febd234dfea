"""The site is built without a broken link, shows every option, and loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main

from mixkd.bench.report.schema import Report
from mixkd.cli import app
from mixkd.compress.weights import METHODS, Term
from mixkd.runtime.manifest import MANIFEST_FILE
from mixkd.usage import ORDER
from scripts.site.formats import FORMATS, schema
from scripts.site.markdown import code
from scripts.site.repository import ROOT

pytest.importorskip("material", reason="the extra docs is not installed")
jsonschema = pytest.importorskip("jsonschema")

CONFIG = """
INHERIT: {root}/mkdocs.yml
docs_dir: {docs}
plugins: []
hooks: []
nav: [index.md, other.md]
not_in_nav: ""
extra_css: []
"""


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(site)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


class Loaded(HTMLParser):
    """Gathers what a browser fetches for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "src" in given:
            self.places.append(given["src"])
        if tag == "link" and given.get("rel") != "canonical":
            self.places.append(given.get("href", ""))
        if tag in {"form", "object"}:
            self.places += [given[name] for name in ("action", "data") if name in given]


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    for file in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(file.read_text(encoding="utf-8"))
        assert loaded.places
        assert [place for place in loaded.places if re.match(r"(\w+:)?//", place)] == [], file
    for file in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("[there](other.md#other)", ""),
        ("[there](nowhere.md)", "'nowhere.md'"),
        ("[there](#nowhere)", "'#nowhere'"),
        ("[there](other.md#nowhere)", "'other.md#nowhere'"),
    ],
)
def test_build_ends_at_a_broken_link_and_at_no_other(link: str, complaint: str, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "other.md").write_text("# Other\n", encoding="utf-8")
    (docs / "index.md").write_text(f"# Page\n\n{link}\n", encoding="utf-8")
    config = tmp_path / "mkdocs.yml"
    config.write_text(CONFIG.format(root=ROOT, docs=docs), encoding="utf-8")
    done = build(config, tmp_path / "site")
    assert (done.returncode != 0) == bool(complaint), done.stderr
    assert complaint in done.stderr


def test_reference_has_every_option_of_every_command(site: Path) -> None:
    shown = unescape(page(site, "reference/commands.html"))
    group = typer.main.get_command(app)
    for name in ORDER:
        _, _, after = shown.partition(f'<h2 id="mkd-{name}">')
        section = after.partition("<h2 ")[0]
        options = [option for param in group.commands[name].params for option in param.opts]  # type: ignore[attr-defined]
        wanted = [option for option in options if option.startswith("--")]
        assert wanted
        assert [option for option in wanted if option not in section] == [], name


def test_equations_are_drawn_by_the_browser(site: Path) -> None:
    shown = page(site, "explanations/objective.html")
    written = code((ROOT / "docs" / "explanations" / "objective.md").read_text(encoding="utf-8"), "math")
    assert shown.count('display="block"') == len(written)
    assert "\\lambda" not in shown
    assert 'class="math"' not in shown


def test_every_term_of_the_objective_has_its_equation() -> None:
    written = code((ROOT / "docs" / "explanations" / "objective.md").read_text(encoding="utf-8"), "math")
    names = {term: "hidden" if term is Term.HIDDEN else term.upper() for term in Term}
    for name in names.values():
        assert any(equation.startswith(f"L_{{{name}}} =") for equation in written), name
    (whole,) = [equation for equation in written if equation.startswith("L =")]
    assert all(f"L_{{{name}}}" in whole for name in names.values())


def test_weights_of_the_methods_are_those_of_the_code(site: Path) -> None:
    shown = page(site, "explanations/objective.html")
    rows = re.findall(r"<tr>\s*<td><code>(\w+)</code></td>(.*?)</tr>", shown, re.DOTALL)
    found = {name: [float(cell) for cell in re.findall(r"<td>([\d.]+)</td>", cells)] for name, cells in rows}
    assert found == {method: [weights[term] for term in Term] for method, weights in METHODS.items()}


def test_processors_have_the_committed_figures(site: Path) -> None:
    shown = page(site, "explanations/processors.html")
    committed = json.loads((ROOT / "benchmarks" / "other_processors.json").read_text(encoding="utf-8"))
    targets = {row["target"] for row in committed["rows"]}
    assert len(re.findall(r"<tbody>(.*?)</tbody>", shown, re.DOTALL)[0].split("<tr>")) - 1 == len(targets)
    for row in committed["rows"]:
        if row["target"] != "local":
            assert f"<td>{row['largest_logit_difference']:.2g}</td>" in shown


def test_schema_of_the_manifest_takes_a_manifest_and_no_other(site: Path) -> None:
    allowed = json.loads(page(site, "reference/mkd.schema.json"))
    body = json.loads((ROOT / "tests" / "runtime" / "fixtures" / "bundle" / MANIFEST_FILE).read_text("utf-8"))
    jsonschema.validate(body, allowed)
    for wrong in ({**body, "max_length": "32"}, {**body, "task": "ranking"}, {"task": body["task"]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, allowed)


def test_every_field_of_a_report_has_a_row(site: Path) -> None:
    shown = page(site, "reference/formats.html")
    (form,) = [form for form in FORMATS if form.content is Report]
    for made in schema(form)["$defs"].values():
        assert all(f"<code>{name}</code>" in shown for name in made["properties"])


def test_notebook_is_part_of_the_site(site: Path) -> None:
    cells = json.loads(page(site, "tutorial.ipynb"))["cells"]
    assert any("mkd distill" in cell["source"] for cell in cells)
    assert "tutorial.ipynb" in page(site, "tutorial.html")
