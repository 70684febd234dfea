"""Every command of the examples' READMEs, run as it stands there."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from mixkd.runtime import Classifier
from tests.examples.c_example import headers
from tests.examples.conftest import FIXTURE
from tests.examples.programs import EXAMPLES, copy_example
from tests.examples.readme import commands
from tests.newcomer import ENVIRONMENT
from tests.tools import need

pytestmark = [pytest.mark.slow, pytest.mark.alone]

TEXT = "transfer 100 dollars to my savings"
INSTALLING = EXAMPLES.parent / "scripts" / "install_tools.sh"
PORT = 8000
"""The READMEs' port. The tests take a free one instead."""


@pytest.fixture
def tree(student_bundle: Path, tmp_path: Path) -> Path:
    """A folder in which an example finds what it has beside it in the repository."""
    (tmp_path / "examples").mkdir()
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "quickstart" / "bundle").symlink_to(student_bundle)
    (tmp_path / "tests" / "runtime" / "fixtures").mkdir(parents=True)
    (tmp_path / "tests" / "runtime" / "fixtures" / "bundle").symlink_to(FIXTURE)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def expected(student_bundle: Path) -> str:
    return Classifier.load(student_bundle, threads=1).predict(TEXT).label


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as servers:
        yield servers


def run(command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def serve(command: str, folder: Path, servers: ExitStack) -> int:
    """Start a server on a free port in place of the README's, and return the port once it is open."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        ["bash", "-c", f"exec env {command.replace(str(PORT), str(port))}"],
        cwd=folder,
        env=ENVIRONMENT | {"UVICORN_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    servers.callback(process.wait)
    servers.callback(process.terminate)
    while process.poll() is None:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return port
        time.sleep(0.05)
    raise AssertionError(f"{command} ended with {process.returncode}")


def test_commands_of_the_c_example(tree: Path, expected: str) -> None:
    for program, package in (("make", "make"), ("cc", "gcc")):
        need(program, package=package)
    folder = copy_example("c", tree / "examples")
    install, make, classify, sanitize, fuzz = commands("c")
    assert install.split()[-1] in INSTALLING.read_text(encoding="utf-8")
    for command in (make, sanitize):
        run(command, folder, ORT_INCLUDE=headers())
    assert TEXT in classify
    assert run(classify, folder).partition("\t")[0] == expected
    assert "1000 mutants of seed 1" in run(fuzz.replace("100000", "1000"), folder)


def test_commands_of_the_node_example(tree: Path, expected: str) -> None:
    need("node", package="nodejs")
    install, classify = commands("node")
    check_installation(install, "node")
    assert TEXT in classify
    folder = copy_example("node", tree / "examples")
    assert run(classify, folder).partition("\t")[0] == expected


def test_commands_of_the_browser_example(tree: Path, servers: ExitStack) -> None:
    install, copy, server = commands("browser")
    check_installation(install, "browser")
    folder = copy_example("browser", tree / "examples")
    run(copy, folder)
    address = f"http://127.0.0.1:{serve(server, folder, servers)}"
    for name in ("", "classifier.js", "bundle/mkd.json", "bundle/onnx/model_quantized.onnx"):
        httpx.get(f"{address}/{name}").raise_for_status()


def test_the_browser_examples_readme_names_the_packages_files_that_a_page_asks_for(tree: Path) -> None:
    readme = (EXAMPLES / "browser" / "README.md").read_text(encoding="utf-8")
    folder = copy_example("browser", tree / "examples")
    named = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert len(named) == 4
    for name in named:
        assert (folder / "node_modules" / name).is_file(), name


def test_commands_of_the_service_example(tree: Path, expected: str, servers: ExitStack) -> None:
    need("curl", package="curl")
    folder = copy_example("service", tree / "examples")
    install, server, curl = commands("service")
    run(install, folder, PIP_NO_INDEX="1")  # what it asks for is there: the versions are those of the tests
    port = serve(server, folder, servers)
    assert TEXT in curl
    (answer,) = json.loads(run(curl.replace(str(PORT), str(port)), folder))
    assert answer["label"] == expected


def check_installation(command: str, example: str) -> None:
    """Check that the script which prepares the tests installs it so, and that its lock file holds."""
    assert command == "npm ci"
    assert command in INSTALLING.read_text(encoding="utf-8")
    folder = EXAMPLES / example
    need("npm", package="npm")
    run("npm ls --all --offline", folder)
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    installed = {name: package for name, package in lock["packages"].items() if name}
    assert installed
    for name, package in installed.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name  # would name the registry of whoever wrote the file
