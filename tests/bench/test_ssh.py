"""Another machine over ssh: a real server on this one."""

import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets import parse_target
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.targets.ssh import SshTarget, Timeouts
from mixkd.bench.variants import OnnxVariant, Variant
from mixkd.errors import ConfigError, MeasureError
from tests.bench.sshd import Server, loopback
from tests.tools import need, unavailable


def test_ssh_measures_the_same_answers_and_leaves_nothing(server: Server, int8: Variant, plan: Plan) -> None:
    target = server.target()
    report = measure(replace(plan, variants=(int8,), targets=(LocalTarget(), target)))
    assert target._folder
    here, there = report.rows
    assert (there.target, there.evidence) == ("ssh://loopback", Evidence.DEVICE)
    assert there.logit_difference == 0
    assert there.latency is not None
    assert there.latency.samples == 64
    assert there.memory is not None
    assert here.logit_difference is None
    assert report.targets[1].environment.cores == os.cpu_count()
    assert not Path(target._folder).exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "no such Python"),
        ('#!/bin/sh\nunset PYTHONPATH\nexec {python} -I -S "$@"\n', "has no numpy: python -m pip install"),
        ("ELF", "another architecture"),
    ],
)
def test_ssh_names_what_the_other_side_lacks(
    server: Server, tmp_path: Path, script: str | None, said: str
) -> None:
    python = tmp_path / "python"
    if script == "ELF":
        # The first bytes of an executable for a processor that nobody has.
        python.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xff\xff" + b"\0" * 100)
    elif script:
        python.write_text(script.replace("{python}", sys.executable), encoding="utf-8")
    if script:
        python.chmod(0o755)
    with pytest.raises(MeasureError, match=said), server.target(str(python)):
        pass


def test_ssh_names_an_unknown_host_key(server: Server, tmp_path: Path) -> None:
    target = server.target(sys.executable, "-o", f"UserKnownHostsFile={tmp_path / 'none'}")
    with pytest.raises(MeasureError, match="host key isn't known"), target:
        pass


def test_ssh_names_a_refused_login(server: Server, tmp_path: Path) -> None:
    target = server.target()
    config = tmp_path / "config"
    config.write_text(server.client_config.read_text().replace(f"{server.folder}/user\n", "/dev/null\n"))
    target.options = ("-F", str(config))
    with pytest.raises(MeasureError, match="refused the login"), target:
        pass


def test_ssh_names_a_dropped_connection(server: Server, int8: Variant) -> None:
    with server.target() as target, WorkerProcess(int8, target, threads=1) as worker:
        worker.load("hello")
        server.drop()
        with pytest.raises(MeasureError, match="student-int8: the connection dropped"):
            worker.time(["hello"])


def test_dropped_connection_leaves_the_other_targets(server: Server, int8: Variant, plan: Plan) -> None:
    target = server.target()
    small = replace(plan, variants=(int8,), targets=(LocalTarget(), target))

    def drop_while_timing(what: str, done: int, _: int) -> None:
        if what == "timing single texts" and target._folder and done == 2:
            server.drop()

    report = measure(small, progress=drop_while_timing)
    assert [row.target for row in report.rows] == ["local"]
    assert report.absent[-1].target == "ssh://loopback"
    assert "dropped" in report.absent[-1].reason


def test_ssh_names_a_full_disk(int8: Variant, tmp_path: Path) -> None:
    # The server sees a /tmp of 2 MB, nobody else does: the code fits, the model doesn't.
    mount = "mount -t tmpfs -o size=2m tmpfs /tmp"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        unavailable("needs the right to mount a file system for itself")
    within = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    large = tmp_path / "large.onnx"
    assert isinstance(int8, OnnxVariant)
    large.write_bytes(bytes(4_000_000))
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as keys,
        loopback(Path(keys, "sshd"), within=within) as server,
        server.target() as target,
        pytest.raises(MeasureError, match="ssh://loopback: its disk is full"),
    ):
        target.prepare(replace(int8, model=large))


def test_unreachable_target_is_absent_and_the_others_are_measured(int8: Variant, plan: Plan) -> None:
    need("ssh", package="openssh-client")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = int(probe.getsockname()[1])
        target = SshTarget.parse(f"ssh://127.0.0.1:{closed}")
        report = measure(replace(plan, variants=(int8,), targets=(LocalTarget(), target)))
    assert [row.target for row in report.rows] == ["local"]
    assert report.absent[-1].target == target.name
    assert "nothing listens there" in report.absent[-1].reason


def test_ssh_word_is_read_in_all_its_parts() -> None:
    target = parse_target("ssh://me@board:2222?python=/opt/py/bin/python")
    assert isinstance(target, SshTarget)
    assert (target.destination, target.port, target.python) == ("me@board", 2222, "/opt/py/bin/python")


def test_host_name_keeps_its_case() -> None:
    assert SshTarget.parse("ssh://MyPi").destination == "MyPi"
    assert SshTarget.parse("ssh://Pi@MyPi:22/?python=Python3").destination == "Pi@MyPi"
    assert SshTarget.parse("ssh://[FE80::1]:22").destination == "FE80::1"


def test_time_limits_are_read_from_the_word() -> None:
    target = SshTarget.parse("ssh://pi?connect_timeout=30&reply_timeout=600.5&run_timeout=7200")
    assert target.timeouts == Timeouts(connect_timeout=30, reply_timeout=600.5, run_timeout=7200)
    assert SshTarget.parse("ssh://pi").timeouts == Timeouts()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e9", "soon"])
def test_impossible_time_limit_is_refused(seconds: str) -> None:
    with pytest.raises(ConfigError, match="reply_timeout must be 1 to 604800 seconds, not"):
        SshTarget.parse(f"ssh://pi?reply_timeout={seconds}")
