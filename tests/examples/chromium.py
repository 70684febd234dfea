"""A headless Chromium, driven over its DevTools pipe: no driver package, no open port."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)


class Page:
    """One page: commands go out, answers and events come back as JSON, a zero byte behind each."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._count = 0
        self._session: str | None = None
        self.requested: list[str] = []
        """Every address that the page asked for."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method and return its result."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = json.loads(self._read())
            if answer.get("method") == "Network.requestWillBeSent":
                self.requested.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def evaluate(self, script: str) -> Any:
        """Return what a script, a promise too, gives in the page."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression holds."""
        look = f"const look = () => ({condition}) ? done() : setTimeout(look, 20);"
        self.evaluate(f"new Promise((done) => {{ {look} look(); }})")

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has gone"
            message += byte
        return bytes(message)


@contextmanager
def open_page(chromium: str, profile: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own, and end it afterwards."""
    browser_in, ours_out = os.pipe()
    ours_in, browser_out = os.pipe()
    # Out of the way of 3 and 4, which are where the browser looks for its pipe.
    high_in, high_out = (fcntl.fcntl(end, fcntl.F_DUPFD, 50) for end in (browser_in, browser_out))
    shell = ["bash", "-c", f'exec "$@" 3<&{high_in} 4>&{high_out}', "bash", chromium]
    process = subprocess.Popen(
        [*shell, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(high_in, high_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (browser_in, browser_out, high_in, high_out):
        os.close(end)
    try:
        with os.fdopen(ours_out, "wb") as commands, os.fdopen(ours_in, "rb") as answers:
            yield Page(commands, answers)
    finally:
        process.terminate()
        process.wait()
