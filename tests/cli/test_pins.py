"""The pinned versions: none has a known vulnerability that a newer release has mended."""

from pathlib import Path

import pytest
from packaging.version import Version

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
