"""The stages depend on each other one way only, and nothing heavy loads before it is needed."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mixkd

ROOT = Path(__file__).parents[2]
HEAVY = frozenset({"torch", "transformers", "optimum", "onnx", "datasets", "accelerate", "safetensors"})
STAGES = {
    "runtime/mixkd": HEAVY | {"mixkd.compress", "mixkd.export", "mixkd.pipeline"},
    "compress/mixkd/compress": frozenset({"mixkd.export", "mixkd.pipeline", "mixkd.cli", "optimum", "onnx"}),
    "export/mixkd/export": frozenset({"mixkd.pipeline", "mixkd.cli"}),
    "export/mixkd/pipeline": frozenset({"mixkd.cli"}),
}
GATHERS_THE_COMMANDS = ROOT / "runtime/mixkd/cli.py"


def imported_modules(path: Path) -> Iterator[str]:
    """Yield every module a file imports, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"no source in {folder}"
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_nothing_that_is_above_or_beside_it(stage: str) -> None:
    for path in sources(stage):
        if path == GATHERS_THE_COMMANDS:
            continue
        for module in imported_modules(path):
            parts = module.split(".")
            prefixes = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
            assert not prefixes & STAGES[stage], f"{path} imports {module}"


def test_the_runtime_names_no_later_stage_even_in_a_string() -> None:
    for path in sources("runtime/mixkd"):
        if path != GATHERS_THE_COMMANDS:
            text = path.read_text(encoding="utf-8")
            named = [stage for stage in ("compress", "export", "pipeline") if f"mixkd.{stage}" in text]
            assert not named, path


def test_mixkd_is_one_namespace_over_three_folders() -> None:
    assert mixkd.__file__ is None
    assert not list(ROOT.glob("*/mixkd/__init__.py"))
    for stage in ("compress", "export", "runtime"):
        assert importlib.util.find_spec(f"mixkd.{stage}") is not None


@pytest.mark.parametrize(
    "program",
    [
        "import mixkd.cli",
        "import mixkd.runtime",
        "import mixkd.bench",
        "import sys; sys.argv = ['mkd', '--help']; import mixkd.cli\n"
        "try: mixkd.cli.main()\nexcept SystemExit: pass",
    ],
    ids=["import mixkd.cli", "import mixkd.runtime", "import mixkd.bench", "mkd --help"],
)
def test_nothing_heavy_loads_before_it_is_needed(program: str) -> None:
    heavy = HEAVY | {"numpy", "onnxruntime", "tokenizers"}
    check = f"{program}\nimport sys; print(*sorted({set(heavy)!r} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def test_predicting_loads_the_runtime_alone() -> None:
    bundle = ROOT / "tests/runtime/fixtures/bundle"
    check = (
        "import sys; from mixkd.runtime import Classifier\n"
        f"Classifier.load({str(bundle)!r}, threads=1).predict('pay')\n"
        f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
