"""The tutorial works from its first line to its last, as the notebook that the site offers."""

import json
import os
from pathlib import Path

import pytest

from scripts.site.formats import FORMATS, schema
from scripts.site.notebook import notebook
from scripts.site.repository import DOCS, ROOT
from tests.newcomer import ENVIRONMENT

nbclient = pytest.importorskip("nbclient", reason="the notebook's client is not installed")
nbformat = pytest.importorskip("nbformat", reason="the notebook's format is not installed")
jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("ipykernel", reason="the notebook's kernel is not installed")

PAGE = (ROOT / DOCS / "tutorial.md").read_text(encoding="utf-8")
FAILED = "\nassert _exit_code == 0, _exit_code"
"""A notebook goes on after a command that failed."""


def runnable() -> object:
    """Return the notebook without the installation, each command of it checked."""
    book = nbformat.reads(notebook(PAGE), as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    (installing,) = [cell for cell in code if cell.source.startswith("%pip install")]
    book.cells.remove(installing)  # tests/end_to_end/test_install.py and the Makefile install
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.startswith("!"):
            cell.source = "".join(f"{line}{FAILED}\n" for line in cell.source.splitlines())
    return book


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the notebook was run."""
    folder = tmp_path_factory.mktemp("tutorial")
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)  # the kernel and its commands take it over
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    try:
        book = nbclient.NotebookClient(
            runnable(), timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    (folder / "executed.ipynb").write_text(nbformat.writes(book), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_every_cell_runs_and_the_student_answers_right(folder: Path) -> None:
    book = json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    said = "".join("".join(output.get("text", "")) for output in cells[-1]["outputs"])
    assert [line.split()[0] for line in said.splitlines()] == ["transfer", "translate"]
    assert (folder / "report" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_files_are_as_the_reference_says(form: object, folder: Path) -> None:
    name = form.name  # type: ignore[attr-defined]
    found = sorted(folder.rglob(name))
    assert len(found) == (2 if name == "run.json" else 1)
    for file in found:
        jsonschema.validate(json.loads(file.read_text(encoding="utf-8")), schema(form))  # type: ignore[arg-type]
