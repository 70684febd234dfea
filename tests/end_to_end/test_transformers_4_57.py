"""Both stages under transformers 4.57, with optimum: the packages of constraints-4.57.txt."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

from mixkd.export import Exporter
from tests.exported import STUDENTS, exported, write_real_student
from tests.tools import unavailable

ROOT = Path(__file__).parents[2]
PACKAGES = ("transformers", "huggingface_hub", "tokenizers", "optimum", "optimum-onnx", "datasets")
# Both trainings of every encoder, method and task, the step against the hand-written loop, the layer surgery;
# every rewrite of every encoder's graph against PyTorch; optimum's exporter and its runtime.
TESTS = (
    "compress/test_stages",
    "compress/test_trainer",
    "compress/test_first_token",
    "compress/test_student",
    "compress/test_narrowing",
    "export/test_exporters",
    "export/test_optimum",
    "export/test_dead_positions",
    "export/test_attention",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Python of an environment with the older packages."""
    folder = tmp_path_factory.mktemp("older")
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    (own,) = folder.glob("lib/python*/site-packages")
    # This environment's packages lie beneath it; the older ones come on top.
    (own / "beneath.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pins = (ROOT / "constraints-4.57.txt").read_text(encoding="utf-8").splitlines()
    wanted = [pin for pin in pins if pin.partition("==")[0] in PACKAGES]
    constraint = ("--constraint", str(ROOT / "constraints-4.57.txt"))
    install = [python, "-m", "pip", "install", "--quiet", *constraint, *wanted]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        unavailable(f"needs {' '.join(wanted)} from a package index: {installed.stderr[-500:]}")
    program = f"from importlib.metadata import version; print(*map(version, {PACKAGES}))"
    found = [
        f"{name}=={number}" for name, number in zip(PACKAGES, run(python, "-c", program).split(), strict=True)
    ]
    assert sorted(found) == sorted(wanted)
    return python


def run(*command: str) -> str:
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-5000:]
    return ran.stdout


def test_both_stages_pass_their_tests(python: str) -> None:
    tests = (f"tests/{name}.py" for name in TESTS)
    assert "skipped" not in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_students_of_here_are_exported_as_here(python: str, tmp_path: Path) -> None:
    for kind in STUDENTS:
        write_real_student(tmp_path / kind, kind)
    there = json.loads(run(python, "-m", "tests.exported", str(tmp_path)).splitlines()[-1])
    for kind in STUDENTS:
        here = exported(tmp_path / kind, tmp_path / f"{kind}.here", Exporter.TORCH)
        for made in (here, there[kind]):
            made["rewrites"].pop("shape_nodes")  # transformers 5 makes masks from more nodes
        assert there[kind]["rewrites"] == here["rewrites"], kind
        assert there[kind]["labels"] == here["labels"], kind
        np.testing.assert_allclose(there[kind]["scores"], here["scores"], atol=0.02, err_msg=kind)


def test_the_newest_sentence_transformers_imports_beside_mixkd() -> None:
    imports = "import mixkd.export.stage, mixkd.compress.distillation, sentence_transformers"
    run(sys.executable, "-c", f"{imports}\nassert sentence_transformers.__version__ >= '6'")
