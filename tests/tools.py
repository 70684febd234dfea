"""Programs that some tests use: absent, the test skips with the reason, but in CI it fails."""

import os
import shutil

import pytest


def need(program: str, *, package: str) -> str:
    """Return the program's path; `package` is what Debian calls it."""
    # Debian keeps servers where only root looks.
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        unavailable(f"needs {program}: apt-get install {package}")
    assert path is not None
    return path


def unavailable(reason: str) -> None:
    """Skip the test or the module, or fail it in CI, where everything must be there."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
