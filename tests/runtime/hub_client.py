"""Programs that talk to the loopback hub as a user's do, with a given release of huggingface_hub."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.loopback_hub import WRITER, Hub

_SETTINGS = ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "PYTHONPATH")


@dataclass(frozen=True)
class Client:
    """A user: a home folder, a token, an endpoint, and the folder of another huggingface_hub to put first.

    Attributes:
        xet: Whether the client may store large files as Xet does; the loopback hub takes plain LFS.
    """

    home: Path
    endpoint: str
    token: str | None = WRITER
    packages: Path | None = None
    offline: bool = False
    xet: bool = False

    def but(self, **changes: Any) -> "Client":
        """Return the same user in other circumstances."""
        return replace(self, **changes)

    @property
    def cache(self) -> Path:
        """The hub's cache."""
        return self.home / "hub"

    def mkd(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run `mkd`."""
        program = "import sys; from mixkd.cli import main; sys.argv[0] = 'mkd'; main()"
        return self._run("-c", program, *words)

    def python(self, program: str, *words: str | Path) -> Any:
        """Run a program that ends with a line of JSON, and return its value."""
        done = self._run("-c", program, *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def refused(self, program: str, *words: str | Path) -> tuple[str, str]:
        """Run a program that must end with an `MkdError`; return the error's class and its text."""
        wrapped = (
            "import sys\nfrom mixkd.errors import MkdError\n"
            f"try:\n    exec({program!r})\n"
            "except MkdError as error:\n    print('!', type(error).__name__, error)"
        )
        done = self._run("-c", wrapped, *words)
        *_, last = done.stdout.splitlines() or [done.stderr]
        assert last.startswith("! "), done.stderr or last
        kind, _, text = last[2:].partition(" ")
        return kind, text

    def _run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        settings = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.home),
            "HF_TOKEN": self.token,
            "HF_HUB_OFFLINE": "1" if self.offline else None,
            "HF_HUB_DISABLE_XET": None if self.xet else "1",
            "PYTHONPATH": str(self.packages) if self.packages else None,
        }
        kept = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
        given = {name: value for name, value in settings.items() if value is not None}
        command = [sys.executable, *words]
        return subprocess.run(command, env=kept | given, capture_output=True, text=True, check=False)


def nowhere(hub: Hub) -> str:
    """Return the address of a hub where nothing listens."""
    return hub.url.rpartition(":")[0] + ":9"
