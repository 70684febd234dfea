"""A real OpenSSH server on this machine: a stand-in for a remote device."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from mixkd.bench.targets.ssh import SshTarget, Timeouts
from tests.tools import need


@dataclass
class Server:
    """A loopback sshd with keys of its own."""

    process_id: int
    port: int
    client_config: Path
    folder: Path

    def target(
        self, python: str = sys.executable, *words: str, timeouts: Timeouts | None = None
    ) -> SshTarget:
        return SshTarget(
            name="ssh://loopback",
            destination="127.0.0.1",
            port=self.port,
            python=python,
            options=("-F", str(self.client_config), *words),
            timeouts=timeouts or Timeouts(),
        )

    def drop(self) -> None:
        """End every connection, as a network that fails does."""
        for session in psutil.Process(self.process_id).children(recursive=True):
            if session.name().startswith("sshd"):
                session.kill()


@contextmanager
def loopback(folder: Path, *, settings: str = "", within: Sequence[str] = ()) -> Iterator[Server]:
    """Run a server on this machine whose keys and settings stand in the folder.

    Args:
        folder: Made here, if it isn't there.
        settings: More lines for its configuration.
        within: A command that runs the server's.
    """
    folder.mkdir(exist_ok=True)
    sshd = need("sshd", package="openssh-server")
    need("ssh", package="openssh-client")
    folder.chmod(0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        # The user's start-up files don't run here: a session that is cut would leave their work half done.
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nStrictModes no\n"
        f"SetEnv HOME={folder}\n{settings}\n"
    )
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
        "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*within, sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL
    )
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield Server(process.pid, port, folder / "ssh_config", folder)
    finally:
        process.terminate()
        process.wait()
