"""A device that lies, hangs or never stops, behind a real ssh server on this machine.

Its programs are scripts that stand first in its `PATH`; its `rm` only notes what it is asked to remove.
"""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mixkd import cli
from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.targets.ssh import SshTarget, Timeouts
from mixkd.bench.variants import OnnxVariant, Variant
from mixkd.errors import MeasureError
from tests.bench.sshd import Server, loopback
from tests.tools import need

IMPATIENT = Timeouts(connect_timeout=5, reply_timeout=5, run_timeout=100)


class Device:
    """A server whose programs are replaced by scripts."""

    def __init__(self, server: Server, programs: Path) -> None:
        self.server, self._programs = server, programs

    def program(self, name: str, script: str) -> Path:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def target(self, worker: str = "exit 1", timeouts: Timeouts | None = None) -> SshTarget:
        """Return it with a Python that is the given script where it is asked for a worker."""
        # It has every package at once: a test with a short limit doesn't wait for imports.
        script = f'case "$1" in -m) {worker};; *) exit 0;; esac'
        return self.server.target(str(self.program("python", script)), timeouts=timeouts)

    @property
    def removed(self) -> list[str]:
        """What its `rm` was asked to remove."""
        notes = self._programs / "removed"
        return notes.read_text().splitlines() if notes.exists() else []


ENDLESS = "it said more than 1024 MiB in all"
"""Which of two limits ends a flood depends on how fast the machine writes it."""


@pytest.fixture(scope="module")
def device_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("device")
    programs = folder / "programs"
    programs.mkdir()
    # Only the command itself finds the false programs, not what starts the session.
    command = f'env PATH={programs}:/usr/bin:/bin sh -c "$SSH_ORIGINAL_COMMAND"'
    with loopback(folder / "sshd", settings=f"ForceCommand {command}") as server:
        yield server, programs


@pytest.fixture
def device(device_server: tuple[Server, Path]) -> Iterator[Device]:
    server, programs = device_server
    device = Device(server, programs)
    notes = programs / "removed"
    device.program("rm", f'shift $(($# - 1)); printf "%s\\n" "$1" >>{notes}')
    yield device
    for line in device.removed:
        assert line.startswith("/tmp/mkd-bench.")
        shutil.rmtree(line, ignore_errors=True)
    for path in programs.iterdir():
        path.unlink()


@contextmanager
def refused(said: str) -> Iterator[None]:
    """Expect one line that names the target or the variant on it."""
    with pytest.raises(MeasureError, match=said) as caught:
        yield
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        "/",
        "/home",
        "/tmp/../../etc",
        "/tmp/mkd-bench.abcdefgh/../victim",
        "/tmp/mkd-bench.abcdefgh /home",
        "/tmp/mkd-bench.abcdefgh\\n/home",
        "/tmp/mkd-bench.abcdefgh\\n",
        "/tmp/mkd-bench.abcdefg",
        "/tmp/mkd-bench.abcdefghi",
        "/tmp/mkd-bench.abcdefg*",
        "/tmp/mkd-bench.$(reboot)",
        "/tmp/mkd-bench.\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661",
        "/tmp/mkd-bench/abcdefgh",
        "/var/tmp/mkd-bench.abcdefgh",
        "welcome to this board\\n/tmp/mkd-bench.abcdefgh",
        "\\033]0;owned\\007/tmp/mkd-bench.abcdefgh",
        "-rf",
        "",
    ],
)
def test_answer_of_mktemp_that_is_no_folder_of_ours_removes_nothing(device: Device, answer: str) -> None:
    device.program("mktemp", f"printf -- '{answer}\\n'")
    with refused("ssh://loopback: mktemp -d /tmp/mkd-bench.XXXXXXXX answers"), device.target():
        pass
    assert device.removed == []


def test_folder_that_holds_somebody_elses_files_is_left(device: Device) -> None:
    made = subprocess.run(
        ["mktemp", "-d", "/tmp/mkd-bench.XXXXXXXX"], capture_output=True, text=True, check=True
    )
    victim = Path(made.stdout.strip())
    try:
        (victim / "thesis.doc").write_text("years of work")
        device.program("mktemp", f"echo {victim}")
        with refused("ssh://loopback: .*not empty"), device.target():
            pass
        assert device.removed == []
        assert (victim / "thesis.doc").read_text() == "years of work"
        assert [path.name for path in victim.iterdir()] == ["thesis.doc"]
    finally:
        shutil.rmtree(victim)


def test_only_the_folder_that_was_made_is_removed(device: Device) -> None:
    with device.target() as target:
        folder = Path(target._folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "code").is_dir()
    assert device.removed == [str(folder)]


@pytest.mark.parametrize(
    ("program", "script", "said"),
    [
        ("mktemp", "sleep 60", r"no answer for 5 s \(connect_timeout\)"),
        ("mktemp", "yes", "its answer is longer than 64 KiB"),
        ("mktemp", "yes >&2", rf"no answer for 5 s \(connect_timeout\)|{ENDLESS}"),
        ("mktemp", "printf '\\033[2Jsome error' >&2; exit 1", r"exit code 1: \\x1b\[2Jsome error"),
        ("tar", "sleep 60", r"no answer for 5 s \(reply_timeout\)"),
        ("tar", "cat >/dev/null; yes", "its answer is longer than 64 KiB"),
        ("mkdir", "sleep 60", r"no answer for 5 s \(reply_timeout\)"),
    ],
)
def test_command_that_hangs_or_never_stops_ends_in_one_line(
    device: Device, program: str, script: str, said: str
) -> None:
    device.program(program, script)
    with refused(f"ssh://loopback: {said}"), device.target(timeouts=IMPATIENT):
        pass


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        ("sleep 60", r"no answer for 5 s \(reply_timeout\)"),
        ("while read -r line; do printf half; sleep 60; done", r"no answer for 5 s \(reply_timeout\)"),
        ("tr '\\0' x </dev/zero", "its answer is longer than 32 MiB"),
        ("yes", "an invalid answer to 'load': it is not JSON"),
        ("yes >&2", rf"no answer for 5 s \(reply_timeout\)|{ENDLESS}"),
        ("cat", "it is neither an answer nor an error"),
        ("""printf '{"error": "\\033[2J\\\\n\\\\u001b]0;x"}\\n'""", r"it is not JSON"),
        ("""printf '{"error": "a\\\\n\\\\u001b]0;b"}\\n'""", r"a\\n\\x1b\]0;b"),
        ("""printf '{"ok": NaN}\\n'""", "NaN is no number in JSON"),
    ],
)
def test_worker_that_hangs_or_never_stops_ends_in_one_line(
    device: Device, int8: Variant, worker: str, said: str
) -> None:
    with (
        device.target(worker, IMPATIENT) as target,
        refused(f"student-int8: .*{said}"),
        WorkerProcess(int8, target, threads=1) as process,
    ):
        process.load("hello")
    assert device.removed == [target._folder]


def test_run_that_takes_too_long_ends_as_a_whole(device: Device, int8: Variant, plan: Plan) -> None:
    timeouts = Timeouts(connect_timeout=10, reply_timeout=1000, run_timeout=6)
    target = device.target("sleep 60", timeouts)
    report = measure(replace(plan, variants=(int8,), targets=(LocalTarget(), target)))
    assert [row.target for row in report.rows] == ["local"]
    reasons = [absent.reason for absent in report.absent if absent.target == target.name]
    assert reasons == ["the time for the whole run is over (run_timeout)"]
    assert device.removed == [target._folder]


def test_device_that_never_speaks_ends_in_one_line() -> None:
    need("ssh", package="openssh-client")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = SshTarget.parse(f"ssh://127.0.0.1:{port}?connect_timeout=8")
        with refused("it doesn't answer"), target:
            pass


def test_worker_left_alone_ends_by_itself() -> None:
    command = [sys.executable, "-m", "mixkd.bench.worker.main", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        assert worker.wait(60) == -14  # SIGALRM


def test_link_of_a_bundle_is_never_followed_to_a_device(
    device: Device, int8: Variant, tmp_path: Path
) -> None:
    assert isinstance(int8, OnnxVariant)
    secret = tmp_path / "id_rsa"
    secret.write_text("a secret of the user")
    (tmp_path / "model.onnx").symlink_to(secret)
    with device.target() as target, refused("model.onnx is a link"):
        target.prepare(replace(int8, model=tmp_path / "model.onnx"))


def test_device_gets_the_variants_own_files_and_no_others(
    device: Device, int8: Variant, tmp_path: Path
) -> None:
    assert isinstance(int8, OnnxVariant)
    model = tmp_path / int8.model.name
    shutil.copy(int8.model, model)
    for name in ("_data", ".data", ".weights"):  # as weights beside a graph are called
        (tmp_path / f"{model.name}{name}").write_text("something of the user")
    with device.target() as target:
        prepared = target.prepare(replace(int8, model=model))
        assert isinstance(prepared, OnnxVariant)
        sent = {path.name: path.read_bytes() for path in prepared.tokenizer.iterdir()}
    own = [int8.model, int8.tokenizer / "tokenizer.json", int8.tokenizer / "tokenizer_config.json"]
    assert sent == {path.name: path.read_bytes() for path in own}


def test_what_a_device_says_does_not_steer_the_terminal(
    device: Device,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    odd = "\x1b[2J\x1b]0;owned\x07\nforged line\r\u202e\x9b31m"
    forger = tmp_path / "forger.py"
    forger.write_text(
        "import json, pathlib, sys\n"
        f"odd, first = {odd!r}, pathlib.Path({str(tmp_path / 'first')!r})\n"
        "for line in sys.stdin:\n"
        "    reply = json.loads(line)\n"
        "    if 'processor' in str(reply):\n"
        "        reply['ok'] |= {'processor': odd, 'governor': odd, 'versions': {odd: odd}, 'isa': [odd]}\n"
        "    if 'float32' in str(reply) and not first.exists():\n"
        "        first.touch()\n"
        "        reply = {'error': odd}\n"
        "    print(json.dumps(reply), flush=True)\n"
    )
    target = device.target(f'{sys.executable} "$@" | {sys.executable} {forger}')
    monkeypatch.setattr("mixkd.bench.targets.parse_target", lambda _: target)
    data, report = tmp_path / "data.tsv", tmp_path / "report"
    data.write_text("text\npay\nwake me up\n", encoding="utf-8")
    words = f"mkd bench {bundle} --data {data} --output {report} --samples 16 --quick --target ssh://x"
    monkeypatch.setattr(sys, "argv", words.split())
    with suppress(SystemExit):
        cli.main()
    out, err = capfd.readouterr()
    assert r": \x1b[2J\x1b]0;owned\x07\nforged line" in err
    assert "student-" in out
    assert "\nforged" not in out + err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out + err), out + err


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        ("reply['ok']['float32'] = base64.b64encode(NAN * math.prod(reply['ok']['shape'])).decode()", "NaN"),
        ("reply['ok']['shape'].reverse()", "its shape is"),
    ],
)
def test_forged_answers_give_no_accuracy(
    device: Device, int8: Variant, plan: Plan, tmp_path: Path, forgery: str, said: str
) -> None:
    forger = tmp_path / "forger.py"
    forger.write_text(
        "import base64, json, math, struct, sys\n"
        "NAN = struct.pack('<f', math.nan)\n"
        "for line in sys.stdin:\n"
        "    reply = json.loads(line)\n"
        "    if 'float32' in str(reply):\n"
        f"        {forgery}\n"
        "    print(json.dumps(reply), flush=True)\n"
    )
    target = device.target(f'{sys.executable} "$@" | {sys.executable} {forger}')
    report = measure(replace(plan, variants=(int8,), targets=(LocalTarget(), target)))
    assert [row.target for row in report.rows] == ["local"]
    (reason,) = [absent.reason for absent in report.absent if absent.target == target.name]
    assert said in reason
