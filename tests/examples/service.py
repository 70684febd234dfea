"""The service example as a process of its own, on a loopback port that nobody else has."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.examples.programs import EXAMPLES, PLAIN

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    process: psutil.Process
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def connect(self) -> socket.socket:
        """Return a connection of its own, for what no HTTP client would send."""
        return socket.create_connection((HOST, self.port), timeout=60)


@contextmanager
def running_service(bundle: Path, **settings: object) -> Iterator[Service]:
    """Start uvicorn and yield it; afterwards it must end as it is asked to, with no traceback in its log.

    Args:
        bundle: The bundle that answers.
        settings: `main.py`'s settings by their names in the environment, in lower case.
    """
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "BUNDLE": str(bundle.absolute()),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name.upper(): str(value) for name, value in settings.items()},
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "main:app",
        "--limit-concurrency",
        "1000",
        "--port",
        str(port),
    ]
    with tempfile.NamedTemporaryFile(prefix="service-", suffix=".log") as log:
        process = subprocess.Popen(
            [*command, "--log-level", "warning"],
            cwd=EXAMPLES / "service",
            env={**PLAIN, **environment},
            stdout=log,
            stderr=log,
        )
        service = Service(port, psutil.Process(process.pid), Path(log.name))
        try:
            _wait_until_it_answers(service, process)
            yield service
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) in {0, -signal.SIGTERM}
            assert "Traceback" not in service.log.read_text(encoding="utf-8")
        finally:
            process.kill()
            process.wait()


def _wait_until_it_answers(service: Service, process: subprocess.Popen[bytes]) -> None:
    """Wait for the port, which opens when the bundle is loaded."""
    while True:
        assert process.poll() is None, service.log.read_text(encoding="utf-8")
        with suppress(httpx.ConnectError):
            httpx.get(f"{service.url}/healthz", timeout=60).raise_for_status()
            return
        time.sleep(0.05)
