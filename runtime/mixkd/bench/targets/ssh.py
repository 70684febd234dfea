"""Another machine over ssh: it needs Python, numpy, onnxruntime, psutil and tokenizers, and nothing of mixkd.

The system's own ssh is used, with its configuration, agent and host-key checking. The worker and the
variant's files travel as tar streams into a temporary folder that goes away at the end. Nothing that the
device says is believed: not the name of that folder, not that an answer comes, nor that it ends.
"""

import math
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.base import WORKER_MODULE, Launch, heard, last_words, worker_environment
from mixkd.bench.targets.code import worker_code
from mixkd.bench.targets.pipes import Child, Limits, PipeError
from mixkd.bench.targets.sending import send_files
from mixkd.bench.variants import OnnxVariant, Variant
from mixkd.errors import ConfigError, MeasureError

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_OPTIONS = (
    *("-T", "-a", "-x"),  # no terminal, no agent, no display: the device gets none of the user's
    *("-o", "ClearAllForwardings=yes", "-o", "ControlMaster=no", "-o", "BatchMode=yes"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"),
)
_PACKAGES = "numpy onnxruntime psutil tokenizers"
_MAKE_FOLDER = "mktemp -d /tmp/mkd-bench.XXXXXXXX"
_FOLDER = re.compile(r"/tmp/mkd-bench\.[A-Za-z0-9]{8}")
_COMMAND_BYTES = 65536
_MOST_SECONDS = 7 * 24 * 3600

# What ssh, the shell and Python say, and what it means.
_CAUSES = (
    (r"Host key verification failed", "its host key isn't known: connect once with ssh and check the key"),
    (r"Permission denied", "it refused the login: set up a key that needs no typing"),
    (r"Could not resolve hostname", "there is no such host"),
    (r"Connection refused", "nothing listens there: is sshd running, is the port right?"),
    (
        r"(connect to host .* timed out|during banner exchange)",
        "it doesn't answer: is it on, is this its address?",
    ),
    (r"No module named '?(\w+)", f"its Python has no \\1: python -m pip install {_PACKAGES}"),
    (r"No space left on device", "its disk is full"),
    (r"(Exec format error|wrong ELF class|cannot execute binary)", "its Python is for another architecture"),
    (
        r"(command not found|not found|No such file or directory)",
        "it has no such Python: name one with ?python=",
    ),
    (r"(Connection .*closed|Connection reset|Broken pipe|timed out)", "the connection dropped"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a device, in seconds.

    Attributes:
        connect_timeout: To the first answer over a new connection.
        reply_timeout: To any other answer, such as that a model is loaded or a block of texts is timed.
        run_timeout: To the end of everything on this target.
    """

    connect_timeout: float = 30.0
    reply_timeout: float = 300.0
    run_timeout: float = 4 * 3600.0


TIMEOUTS = tuple(f.name for f in fields(Timeouts))
"""Written behind the host, as in ``ssh://pi?reply_timeout=600``."""


@dataclass(slots=True)
class SshTarget:
    """A machine that ssh reaches.

    Attributes:
        name: The word that named it.
        destination: ``user@host``, as ssh takes it.
        port: None takes ssh's own.
        python: The Python to run there.
        options: More words for ssh, such as ``-F FILE``.
        timeouts: How long to wait for it.
    """

    name: str
    destination: str
    port: int | None = None
    python: str = "python3"
    options: tuple[str, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    _folder: str = field(default="", init=False)
    _ends_at: float = field(default=0.0, init=False)
    _prepared: int = field(default=0, init=False)

    evidence = Evidence.DEVICE

    @classmethod
    def parse(cls, word: str) -> "SshTarget":
        """Return the target of ``ssh://[user@]host[:port][?python=PATH]``, and its time limits in seconds.

        Raises:
            ConfigError: If the word is written in another way.
        """
        try:
            parts = urlsplit(word)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"{word!r} is not an ssh target: {error}") from error
        query = parse_qs(parts.query)
        # `parts.hostname` is in lower case, which `Host MyPi` of an ssh configuration doesn't match.
        host = re.sub(r":\d*$", "", parts.netloc.rpartition("@")[2]).strip("[]")
        known = {"python", *TIMEOUTS}
        if not parts.hostname or parts.path not in ("", "/") or set(query) - known or parts.password:
            raise ConfigError(
                f"{word!r} is not an ssh target: write ssh://user@host[:port][?python=PATH]; "
                f"{', '.join(TIMEOUTS)} can follow, as in ?python=PATH&{TIMEOUTS[0]}=30"
            )
        if host.startswith("-") or (parts.username or "").startswith("-"):
            raise ConfigError(f"{word!r} is not an ssh target: a name can't begin with a hyphen")
        user = f"{parts.username}@" if parts.username else ""
        return cls(
            name=word,
            destination=user + host,
            port=port,
            python=query.get("python", ["python3"])[0],
            timeouts=Timeouts(**{key: _seconds(key, query[key][0]) for key in TIMEOUTS if key in query}),
        )

    def __enter__(self) -> "SshTarget":
        self._ends_at = time.monotonic() + self.timeouts.run_timeout
        folder = self._make_folder()
        # Removed and made again: a folder that held anything is somebody's, whatever its name, and is left.
        self._run(f"rmdir {folder} && mkdir -m 700 {folder}")
        self._folder = folder
        try:
            # An installer may have linked mixkd's own modules.
            self._send({f"code/{name}": path for name, path in worker_code().items()}, follow_links=True)
            self._run(f"{self._python()} -c 'import {', '.join(_PACKAGES.split())}'")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def prepare(self, variant: Variant) -> Variant:
        """Send the model and its tokenizer."""
        if not isinstance(variant, OnnxVariant):
            raise MeasureError(
                f"{variant.runtime} isn't measured over ssh: only onnxruntime is asked for there"
            )
        self._prepared += 1
        folder = PurePosixPath(f"variant{self._prepared}")
        files = {str(folder / path.name): path for path in variant.weight_files()}
        files |= {str(folder / name): variant.tokenizer / name for name in _TOKENIZER_FILES}
        self._send(files, follow_links=False)
        there = Path(self._folder) / folder
        return replace(variant, model=there / variant.model.name, tokenizer=there)

    def launch(self, threads: int) -> Launch:
        """Return ssh running the worker there; it ends by itself when the run's time is over."""
        words = " ".join(f"{key}={value}" for key, value in worker_environment(threads).items())
        seconds = max(1, math.ceil(self._ends_at - time.monotonic()))
        worker = f"{words} {self._python()} -m {WORKER_MODULE} {seconds}"
        limits = Limits(
            silence_s=self.timeouts.reply_timeout,
            ends_at=self._ends_at,
            options=("reply_timeout", "run_timeout"),
        )
        return Launch(self._ssh(worker), limits=limits)

    def explain(self, said: str, code: int) -> str:
        """Return the cause that the messages name."""
        for pattern, cause in _CAUSES:
            match = re.search(pattern, said)
            if match:
                return heard(match.expand(cause))
        return "the connection dropped" if code == 255 else last_words(said, code)

    def _make_folder(self) -> str:
        said = self._run(_MAKE_FOLDER, self._limits("connect_timeout"))
        answer = said.decode("utf-8", errors="replace").removesuffix("\n")
        if not _FOLDER.fullmatch(answer):
            raise MeasureError(f"{self.name}: {_MAKE_FOLDER} answers {heard(answer)!r} there: no such folder")
        return answer

    def _python(self) -> str:
        return f"PYTHONPATH={self._folder}/code exec {shlex.quote(self.python)}"

    def _ssh(self, command: str) -> list[str]:
        # Whatever the login shell is, sh reads the command.
        port = ("-p", str(self.port)) if self.port else ()
        return [
            "ssh",
            *_OPTIONS,
            # Shorter than our own limit, so that ssh can say what is wrong.
            *("-o", f"ConnectTimeout={math.ceil(self.timeouts.connect_timeout / 2)}"),
            *self.options,
            *port,
            "--",
            self.destination,
            f"exec sh -c {shlex.quote(command)}",
        ]

    def _limits(self, option: str) -> Limits:
        """Return the limits of a command that answers little, within the seconds of an option."""
        return Limits(
            silence_s=getattr(self.timeouts, option),
            ends_at=self._ends_at,
            reply_bytes=_COMMAND_BYTES,
            options=(option, "run_timeout"),
        )

    def _run(self, command: str, limits: Limits | None = None) -> bytes:
        """Run a command there and return what it answers."""
        with self._child(command, limits) as child:
            return self._finish(child)

    def _send(self, files: Mapping[str, Path], *, follow_links: bool) -> None:
        with self._child(f"tar -xf - -C {self._folder}") as child:
            with suppress(BrokenPipeError):  # it ended early; `_finish` says why
                send_files(files, child, follow_links=follow_links)
            self._finish(child)

    @contextmanager
    def _child(self, command: str, limits: Limits | None = None) -> Iterator[Child]:
        limits = limits or self._limits("reply_timeout")
        try:
            running = Child(self._ssh(command), limits=limits)
        except FileNotFoundError as error:
            raise MeasureError(f"{self.name}: this machine has no ssh: install an OpenSSH client") from error
        try:
            with running:
                yield running
        except PipeError as error:
            raise MeasureError(f"{self.name}: {error}") from error

    def _finish(self, child: Child) -> bytes:
        child.close_input()
        answer, code = child.read_all(), child.wait_in_time()
        if code:
            raise MeasureError(f"{self.name}: {self.explain(child.said(), code)}")
        return answer

    def _remove(self) -> None:
        # What can't be removed any more (a dropped connection) must not hide the error that came before.
        self._ends_at = math.inf
        with suppress(MeasureError):
            self._run(f"rm -rf {self._folder}", self._limits("connect_timeout"))


def _seconds(name: str, word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= _MOST_SECONDS:
        raise ConfigError(f"{name} must be 1 to {_MOST_SECONDS} seconds, not {word!r}")
    return seconds
