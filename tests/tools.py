"""Programs that some tests use: a test skips without them, and fails where they were installed."""

import os
import shutil
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


def unavailable(reason: str) -> None:
    """Skip the test or the module, or fail it where the tools were installed."""
    if _INSTALLED.exists():
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
