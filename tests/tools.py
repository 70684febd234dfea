"""Programs that some tests use: a test skips without them, and fails where they were installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_INSTALLED = Path(__file__).parents[1] / ".tools.stamp"
"""What scripts/install_tools.sh writes at its end."""


def need(program: str, *, package: str) -> str:
    """Return the program's path; `package` is what Debian calls it."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # Servers are beside the programs, in a folder that only root has on its PATH.
    beside = [str(Path(folder).with_name("sbin")) for folder in folders]
    path = shutil.which(program, path=os.pathsep.join([*folders, *beside]))
    if path is None:
        unavailable(f"needs {program}: apt-get install {package}")
    assert path is not None
    return path


def install_into(folder: Path, requirement: str) -> None:
    """Install a package beside those that are there; skip the test without a package index."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        unavailable(f"needs {requirement} from a package index: {done.stderr[-300:]}")


def unavailable(reason: str) -> None:
    """Skip the test or the module, or fail it where the tools were installed."""
    if _INSTALLED.exists():
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
