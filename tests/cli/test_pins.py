"""The pinned versions: none with a known vulnerability that is mended, and the files made of them agree."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mixkd.version import __version__

ROOT = Path(__file__).parents[2]
MENDED = {
    # Advisory: the package and the first release without it, from the advisories themselves.
    "PYSEC-2026-2289": ("transformers", "5.3.0"),
    "CVE-2025-14920": ("transformers", "5.3.0"),
    "CVE-2025-14921": ("transformers", "5.3.0"),
    "CVE-2025-14926": ("transformers", "5.3.0"),
    "CVE-2025-14927": ("transformers", "5.3.0"),
    "CVE-2026-4372": ("transformers", "5.3.0"),
    "CVE-2026-5241": ("transformers", "5.5.0"),
    "CVE-2025-32434": ("torch", "2.6.0"),
    "PYSEC-2025-203": ("torch", "2.9.0"),
    "PYSEC-2025-204": ("torch", "2.9.0"),
    "PYSEC-2025-206": ("torch", "2.9.0"),
    "CVE-2026-24747": ("torch", "2.10.0"),
}


def pinned(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("advisory", MENDED)
def test_pinned_release_is_not_older_than_the_mend(advisory: str) -> None:
    package, mended = MENDED[advisory]
    assert Version(pinned("constraints.txt")[package]) >= Version(mended)


def test_only_what_optimum_brings_and_needs_is_older_in_the_second_set() -> None:
    newest, older = pinned("constraints.txt"), pinned("constraints-4.57.txt")
    assert older["transformers"].startswith("4.57.")
    assert {"optimum", "optimum-onnx"} <= older.keys() - newest.keys()
    assert older["torch"] == newest["torch"]


def hashed(name: str) -> dict[str, Requirement]:
    """Return what a file of hashes pins; each requirement has at least one hash."""
    text = (ROOT / "pinned" / name).read_text(encoding="utf-8").replace("\\\n", "")
    found: dict[str, Requirement] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line)
            assert hashes, line
            assert all(re.fullmatch("sha256:[0-9a-f]{64}", one.strip()) for one in hashes), line
            parsed = Requirement(requirement)
            found[canonicalize_name(parsed.name)] = parsed
    return found


def canonical_pins() -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in pinned("constraints.txt").items()}


def versions(requirements: dict[str, Requirement]) -> dict[str, str]:
    return {name: str(requirement.specifier)[2:] for name, requirement in requirements.items()}


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "pinned" / "sbom.cdx.json").read_text(encoding="utf-8"))
    return loaded


def test_hashes_of_everything_are_of_the_pinned_set_without_torch() -> None:
    pins = canonical_pins()
    assert pins.pop("torch")
    assert versions(hashed("everything.txt")) == pins


def test_hashes_of_the_runtime_are_of_what_it_needs_at_the_pinned_versions() -> None:
    """That they are enough is seen where they are installed: scripts/check_torch_free.sh."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = hashed("runtime.txt")
    assert {Requirement(line).name for line in project["dependencies"]} <= found.keys()
    assert not {"torch", "transformers", "onnx"} & found.keys()
    linux = {"sys_platform": "linux", "platform_machine": "x86_64", "python_full_version": "3.11.7"}
    here = {name: one for name, one in found.items() if not one.marker or one.marker.evaluate(linux)}
    assert versions(here).items() <= canonical_pins().items()


def test_bill_of_materials_lists_the_pinned_set_and_this_version(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {part["name"]: part["version"] for part in bill["components"]} == pinned("constraints.txt")
    assert bill["metadata"]["component"]["version"] == __version__
    for part in bill["components"]:
        assert part["purl"] == f"pkg:pypi/{canonicalize_name(part['name'])}@{part['version']}"


def test_dependencies_in_the_bill_of_materials_lead_somewhere(bill: dict[str, Any]) -> None:
    refs = {part["bom-ref"] for part in bill["components"]}
    assert {entry["ref"] for entry in bill["dependencies"]} == refs | {"mixkd"}
    assert {on for entry in bill["dependencies"] for on in entry["dependsOn"]} <= refs
