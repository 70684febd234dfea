"""Each way to install mixkd works: wheel, sdist to wheel, editable, and the wheel without any extra."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from mixkd.version import __version__

ROOT = Path(__file__).parents[2]
STAGES = ("compress", "export", "runtime", "pipeline")

pytestmark = pytest.mark.slow


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, the wheel that was made of it, and in `direct` the wheel of the tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "direct", ROOT)
    return folder


@pytest.fixture
def empty_environment(tmp_path: Path) -> Path:
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    return folder


def install(environment: Path, *arguments: object) -> None:
    """Install without dependencies: those are lent from the environment that runs the tests."""
    python = environment / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-build-isolation", "--no-index", *arguments),
        PYTHONPATH=sysconfig.get_path("purelib"),
    )


def check_installed(environment: Path) -> list[str]:
    """Return the folders of the stages, after a look at the command and the package data."""
    lent = sysconfig.get_path("purelib")
    assert run(environment / "bin" / "mkd", "--version", PYTHONPATH=lent).strip() == f"mixkd {__version__}"
    program = (
        f"import importlib; stages = [importlib.import_module('mixkd.' + s) for s in {STAGES!r}]\n"
        "from mixkd.corpus.corpus import open_corpus\n"
        "assert len(list(open_corpus('clinc150').read('test'))) == 4500\n"
        "print(*(stage.__path__[0] for stage in stages), sep='\\n')"
    )
    return run(environment / "bin" / "python", "-c", program, PYTHONPATH=lent).splitlines()


def test_wheel_of_the_sdist_equals_the_wheel_of_the_tree(built: Path) -> None:
    (through_sdist,), (direct,) = built.glob("*.whl"), (built / "direct").glob("*.whl")
    with zipfile.ZipFile(through_sdist) as first, zipfile.ZipFile(direct) as second:
        assert first.namelist() == second.namelist()


def test_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert {f"mixkd/{stage}/py.typed" for stage in STAGES} <= names
    assert {"mixkd/corpus/clinc150/train.tsv", "mixkd/corpus/clinc150/LICENSE"} <= names
    assert "mixkd/__init__.py" not in names
    assert {name.split("/")[0] for name in names} == {"mixkd", f"mixkd-{__version__}.dist-info"}


def test_sdist_holds_what_its_tests_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "tests/conftest.py",
        "constraints.txt",
        "constraints-4.57.txt",
        "mkdocs.yml",
        "docs/tutorial.md",
        "scripts/site/hooks.py",
    } <= names
    assert {"scripts/check_torch_free.sh", "tests/runtime/fixtures/bundle/mkd.json"} <= names


@pytest.mark.parametrize("folder", ["", "direct"], ids=["sdist to wheel", "wheel"])
def test_wheel_installs_and_runs(built: Path, empty_environment: Path, folder: str) -> None:
    (wheel,) = (built / folder).glob("*.whl")
    install(empty_environment, wheel)
    assert all(path.startswith(str(empty_environment)) for path in check_installed(empty_environment))


def test_editable_install_runs_from_the_tree(empty_environment: Path) -> None:
    install(empty_environment, "--editable", ROOT)
    assert all(path.startswith(str(ROOT)) for path in check_installed(empty_environment))


def test_wheel_without_extras_runs_where_torch_is_not_installed(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    run(ROOT / "scripts" / "check_torch_free.sh", wheel, "-m", "not slow", PYTHON=sys.executable)
