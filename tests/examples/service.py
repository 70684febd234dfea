"""The service example as a process of its own, on a loopback port that nobody else has."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.examples.programs import EXAMPLES, PLAIN


@contextmanager
def running_service(bundle: Path, *, max_waiting: int) -> Iterator[str]:
    """Start uvicorn and yield its address; afterwards it must end as it is asked to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"BUNDLE": str(bundle), "MAX_WAITING": str(max_waiting), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "uvicorn", "main:app", "--log-level", "warning", "--port", str(port)]
    process = subprocess.Popen(command, cwd=EXAMPLES / "service", env={**PLAIN, **settings})
    url = f"http://127.0.0.1:{port}"
    try:
        # The port opens when the bundle is loaded.
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as client:
            client.get(f"{url}/healthz").raise_for_status()
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait()
