"""Write what `pinned/` holds from constraints.txt: files of hashes for pip, and a bill of materials.

    python scripts/make_pinned.py [PYTHON]

PYTHON, by default the one that runs this, must have the pinned set installed: the licences and dependencies
are read from there. Needs `pip install ".[release]"` and a package index.

The hashes of a release are those of all its files, for each system and Python version. torch is left out of
`everything.txt`: its build for CPUs comes from an index of its own, with other hashes.
"""

import json
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from mixkd.version import __version__

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / "pinned"
CONSTRAINTS = ROOT / "constraints.txt"
UNCOVERED = "torch"
OLDEST_PYTHON = "3.11"

HEADER = "# {what}\n# Made by scripts/make_pinned.py from constraints.txt. {how}\n"


def compiled(requirements: list[str], *options: str) -> str:
    """Return the requirements at their pinned versions, each with the hashes of all its files."""
    quiet = ("--quiet", "--no-config", "--no-header", "--no-annotate", "--generate-hashes")
    return subprocess.run(
        [tool("uv"), "pip", "compile", *quiet, *options, "-"],
        input="\n".join(requirements),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def tool(name: str) -> str:
    """Return the path of a program that was installed beside this Python."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def runtime_hashes() -> str:
    """Return what `pip install mixkd` brings, with the marked packages that other systems need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    header = HEADER.format(
        what="What mixkd needs without extras, for every system and Python version that has wheels.",
        how="Then: pip install --no-deps mixkd",
    )
    options = ("--constraint", str(CONSTRAINTS), "--universal", "--python-version", OLDEST_PYTHON)
    return header + compiled(project["dependencies"], *options)


def all_hashes() -> str:
    """Return every pinned package but torch: the set as it is on Linux."""
    header = HEADER.format(
        what=f"Every pinned package but {UNCOVERED}, for Linux on x86-64.",
        how=f"Install {UNCOVERED} first: it is not covered.",
    )
    kept = [f"{name}=={version}" for name, version in pins().items() if name != UNCOVERED]
    return header + compiled(kept, "--no-deps")


def bill_of_materials(python: str) -> dict[str, Any]:
    """Return the pinned packages with their licences and dependencies, as CycloneDX.

    Raises:
        SystemExit: If the environment of `python` lacks a pinned package, or has another version of it.
    """
    options = ("--output-reproducible", "--spec-version", "1.6", "--validate")
    project = ("--pyproject", str(ROOT / "pyproject.toml"))
    command = [tool("cyclonedx-py"), "environment", *options, *project, python]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    by_name = {canonicalize_name(component["name"]): component for component in found["components"]}
    names, components = {found["metadata"]["component"]["bom-ref"]: "mixkd"}, []
    for name, version in pins().items():
        component = by_name.get(canonicalize_name(name), {})
        installed = component.get("version", "none").partition("+")[0]  # 2.13.0+cpu is a build of 2.13.0
        if installed != version:
            sys.exit(f"{python} has {name} {installed}, not {version}: install the pinned set there")
        names[component["bom-ref"]] = f"{name}=={version}"
        components.append(described(component, name, version))
    program = {"type": "library", "bom-ref": "mixkd", "name": "mixkd", "version": __version__}
    licence = {"licenses": found["metadata"]["component"]["licenses"]}
    tools = [
        {key: made[key] for key in ("type", "name", "version")}
        for made in found["metadata"]["tools"]["components"]
    ]
    return found | {
        "metadata": {"component": program | licence, "tools": {"components": tools}},
        "components": components,
        "dependencies": dependencies(found["dependencies"], names),
    }


def dependencies(entries: list[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Return who needs whom, of those that have a name, under these names."""
    return [
        {
            "ref": names[entry["ref"]],
            "dependsOn": sorted(names[ref] for ref in entry.get("dependsOn", ()) if ref in names),
        }
        for entry in entries
        if entry["ref"] in names
    ]


def described(component: dict[str, Any], name: str, version: str) -> dict[str, Any]:
    """Return what is kept of a component: what it is and its licence, not its pages, which come and go."""
    purl = f"pkg:pypi/{canonicalize_name(name)}@{version}"
    kept = {key: component[key] for key in ("type", "licenses") if key in component}
    return {"bom-ref": f"{name}=={version}", "name": name, "version": version, "purl": purl} | kept


def pins() -> dict[str, str]:
    """Return the version of each package in constraints.txt."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def main() -> None:
    """Write the three files."""
    PINNED.mkdir(exist_ok=True)
    bill = bill_of_materials(*(sys.argv[1:] or [sys.executable]))
    (PINNED / "runtime.txt").write_text(runtime_hashes(), encoding="utf-8")
    (PINNED / "everything.txt").write_text(all_hashes(), encoding="utf-8")
    text = json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the bill of materials is not CycloneDX 1.6: {wrong}")
    (PINNED / "sbom.cdx.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
