"""Files that only people and services read: they fit their formats, and agree with each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixkd.version import __version__

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
FORMATS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.github-issue-forms": FORMS,
    "vendor.github-issue-config": [ROOT / ".github/ISSUE_TEMPLATE/config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def problems(schema: str, *files: Path) -> str:
    words = ("-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files))
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("schema", FORMATS)
def test_files_fit_the_schema_of_their_format(schema: str) -> None:
    assert FORMATS[schema]
    assert problems(schema, *FORMATS[schema]) == ""


def test_the_schemas_refuse_a_wrong_file(tmp_path: Path) -> None:
    wrong = tmp_path / "CITATION.cff"
    wrong.write_text(text("CITATION.cff").replace("type: software", "type: program"), encoding="utf-8")
    assert "'program' is not one of" in problems("vendor.citation-file-format", wrong)


def test_citation_and_changelog_have_this_version_and_one_date() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == __version__
    assert f"## {__version__} - {citation['date-released']}\n" in text("CHANGELOG.md")


def runtime_jobs() -> dict[tuple[str, str], str]:
    """Return for each system and Python version of the runtime's job whether it was run."""
    matrix = yaml.safe_load(text(".github/workflows/tests.yml"))["jobs"]["runtime"]["strategy"]["matrix"]
    left_out = {(one["os"], one["python"]) for one in matrix["exclude"]}
    (ran,) = matrix["ran"]
    jobs = {(system, python): ran for system in matrix["os"] for python in matrix["python"]}
    jobs = {job: ran for job, ran in jobs.items() if job not in left_out}
    return jobs | {(one["os"], one["python"]): one["ran"] for one in matrix["include"]}


def systems_of_the_readme() -> list[dict[str, str]]:
    """Return the rows of the README's table of systems."""
    table = re.search(r"\| system \|.*?\n\n", text("README.md"), re.S)
    assert table
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table[0].strip().splitlines()
    )
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_workflow_readme_and_classifiers_name_the_same_versions_as_run() -> None:
    rows = [row for row in systems_of_the_readme() if row["what was run"] != "not run"]
    in_readme = {
        version for row in rows for version in row["Python"].split(", ") if "x86-64" in row["system"]
    }
    in_workflow = {python for (_, python), ran in runtime_jobs().items() if ran == "yes"}
    classifiers = tomllib.loads(text("pyproject.toml"))["project"]["classifiers"]
    in_package = {line.rpartition(" :: ")[2] for line in classifiers if re.search(r":: 3\.\d+$", line)}
    assert in_readme == in_workflow == in_package


def test_systems_that_nobody_has_run_are_marked() -> None:
    assert {system for (system, _), ran in runtime_jobs().items() if ran == "yes"} == {"ubuntu-latest"}
    rows = {row["system"]: row["what was run"] for row in systems_of_the_readme()}
    assert rows["macOS"] == rows["Windows"] == "not run"
    classifiers = tomllib.loads(text("pyproject.toml"))["project"]["classifiers"]
    assert [line for line in classifiers if line.startswith("Operating System")] == [
        "Operating System :: POSIX :: Linux"
    ]


def test_python_versions_of_the_workflow_are_those_that_the_package_allows() -> None:
    allowed = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    assert allowed == ">=3.11,<3.15"
    assert {python for _, python in runtime_jobs()} == {"3.11", "3.12", "3.13", "3.14"}


def test_workflows_run_with_a_time_limit_and_may_only_read() -> None:
    for path in WORKFLOWS:
        workflow: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_files_that_the_workflows_and_the_checklist_name_exist() -> None:
    pages = text("RELEASING.md") + "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    named = re.findall(r"(?:pinned|scripts|tests|\.github)/[\w./-]*\w", pages)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
