"""Another machine over ssh: it needs Python, onnxruntime, numpy and tokenizers, and nothing of mixkd.

The system's own ssh is used, with its configuration, agent and host-key checking. The worker and the
variant's files travel as one tar stream into a temporary folder that goes away at the end.
"""

import io
import re
import shlex
import subprocess
import tarfile
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.base import WORKER_MODULE, Launch, last_words, worker_environment
from mixkd.bench.targets.code import worker_code
from mixkd.bench.variants import OnnxVariant, Variant
from mixkd.errors import ConfigError, MeasureError

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15")
_PACKAGES = "numpy onnxruntime tokenizers"

# What ssh, the shell and Python say, and what it means.
_CAUSES = (
    (r"Host key verification failed", "its host key isn't known: connect once with ssh and check the key"),
    (r"Permission denied", "it refused the login: set up a key that needs no typing"),
    (r"Could not resolve hostname", "there is no such host"),
    (r"Connection refused", "nothing listens there: is sshd running, is the port right?"),
    (r"No module named '?(\w+)", f"its Python has no \\1: python -m pip install {_PACKAGES}"),
    (r"No space left on device", "its disk is full"),
    (r"(Exec format error|wrong ELF class|cannot execute binary)", "its Python is for another architecture"),
    (
        r"(command not found|not found|No such file or directory)",
        "it has no such Python: name one with ?python=",
    ),
    (r"(Connection .*closed|Connection reset|Broken pipe|timed out)", "the connection dropped"),
)


@dataclass(slots=True)
class SshTarget:
    """A machine that ssh reaches.

    Attributes:
        name: The word that named it.
        destination: ``user@host``, as ssh takes it.
        port: None takes ssh's own.
        python: The Python to run there.
        options: More words for ssh, such as ``-F FILE``.
    """

    name: str
    destination: str
    port: int | None = None
    python: str = "python3"
    options: tuple[str, ...] = ()
    _folder: str = field(default="", init=False)

    evidence = Evidence.DEVICE

    @classmethod
    def parse(cls, word: str) -> "SshTarget":
        """Return the target of ``ssh://[user@]host[:port][?python=PATH]``."""
        try:
            parts = urlsplit(word)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"{word!r} is not an ssh target: {error}") from error
        query = parse_qs(parts.query)
        if not parts.hostname or parts.path not in ("", "/") or set(query) - {"python"} or parts.password:
            raise ConfigError(f"{word!r} is not an ssh target: write ssh://user@host[:port][?python=PATH]")
        if parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
            raise ConfigError(f"{word!r} is not an ssh target: a name can't begin with a hyphen")
        user = f"{parts.username}@" if parts.username else ""
        python = query.get("python", ["python3"])[0]
        return cls(name=word, destination=user + parts.hostname, port=port, python=python)

    def __enter__(self) -> "SshTarget":
        self._folder = self._run("mktemp -d").decode().strip()
        if not re.fullmatch(r"/[\w./-]+", self._folder):
            raise MeasureError(f"{self.name}: its mktemp answered {self._folder!r}, not a folder")
        try:
            self._send({f"code/{name}": path for name, path in worker_code().items()})
            self._run(f"{self._python()} -c 'import {', '.join(_PACKAGES.split())}'")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def place(self, variant: Variant) -> Variant:
        """Send the model and its tokenizer."""
        if not isinstance(variant, OnnxVariant):
            raise MeasureError(
                f"{variant.runtime} isn't measured over ssh: only onnxruntime is asked for there"
            )
        folder = PurePosixPath(variant.name)
        files = {str(folder / path.name): path for path in variant.weight_files()}
        files |= {str(folder / name): variant.tokenizer / name for name in _TOKENIZER_FILES}
        self._send(files)
        there = Path(self._folder) / folder
        return replace(variant, model=there / variant.model.name, tokenizer=there)

    def launch(self, threads: int) -> Launch:
        """Return ssh running the worker there."""
        words = " ".join(f"{key}={value}" for key, value in worker_environment(threads).items())
        return Launch(self._ssh(f"{words} {self._python()} -m {WORKER_MODULE}"))

    def explain(self, said: str, code: int) -> str:
        """Return the cause that the messages name."""
        for pattern, cause in _CAUSES:
            match = re.search(pattern, said)
            if match:
                return match.expand(cause)
        return "the connection dropped" if code == 255 else last_words(said, code)

    def _python(self) -> str:
        return f"PYTHONPATH={shlex.quote(f'{self._folder}/code')} exec {shlex.quote(self.python)}"

    def _ssh(self, command: str) -> list[str]:
        # Whatever the login shell is, sh reads the command.
        port = ("-p", str(self.port)) if self.port else ()
        return [
            "ssh",
            *_OPTIONS,
            *self.options,
            *port,
            "--",
            self.destination,
            f"exec sh -c {shlex.quote(command)}",
        ]

    def _run(self, command: str, data: bytes | None = None) -> bytes:
        try:
            done = subprocess.run(self._ssh(command), input=data, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise MeasureError(f"{self.name}: this machine has no ssh: install an OpenSSH client") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", errors="replace")
            raise MeasureError(f"{self.name}: {self.explain(said, done.returncode)}")
        return done.stdout

    def _send(self, files: dict[str, Path]) -> None:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, path in files.items():
                info = tarfile.TarInfo(name)
                info.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(info, file)
        self._run(f"tar -xf - -C {shlex.quote(self._folder)}", stream.getvalue())

    def _remove(self) -> None:
        # What can't be removed any more (a dropped connection) must not hide the error that came before.
        subprocess.run(self._ssh(f"rm -rf {shlex.quote(self._folder)}"), capture_output=True, check=False)
