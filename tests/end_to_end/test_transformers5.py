"""The stages compress and export under transformers 5."""

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.tools import unavailable

ROOT = Path(__file__).parents[2]
TRANSFORMERS = "transformers==5.24.0"
# Both trainings of every encoder, method and task, the step against the hand-written loop, the layer surgery.
TESTS = ("test_stages", "test_trainer", "test_first_token", "test_student")

pytestmark = pytest.mark.slow


def test_compress_stage_passes_its_tests_under_transformers_5(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    (own,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    # This environment's packages lie beneath it; what transformers 5 wants newer comes on top.
    (own / "beneath.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    # datasets wants the hub's client below 2.
    install = [python, "-m", "pip", "install", "--quiet", TRANSFORMERS, "huggingface_hub<2"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        unavailable(f"needs {TRANSFORMERS} from a package index: {installed.stderr[-500:]}")
    version = "import transformers; print(transformers.__version__)"
    found = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True).stdout
    assert found.strip() == TRANSFORMERS.partition("==")[2]
    files = [f"tests/compress/{name}.py" for name in TESTS]
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
