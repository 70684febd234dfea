"""A 64-bit ARM Python with the real wheels, on this machine through qemu."""

from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.figures import Evidence
from mixkd.bench.report.schema import Report, Row
from mixkd.bench.targets import parse_target
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.targets.emulate import AARCH64_ROOT, EmulatedTarget, aarch64_root
from mixkd.bench.variants import Variant
from mixkd.errors import MeasureError
from tests.bench.sshd import Server
from tests.tools import need, unavailable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def qemu() -> str:
    """The emulator's path, where an ARM Python stands too."""
    path = need("qemu-aarch64-static", package="qemu-user-static")
    missing = EmulatedTarget.named("aarch64").missing()
    if missing:
        unavailable(f"needs {missing}")
    return path


@pytest.fixture(scope="module")
def small(plan: Plan) -> Plan:
    """The students and few texts: an emulated start takes seconds."""
    students = tuple(v for v in plan.variants if v.name in ("student-fp32", "student-int8"))
    sample = replace(plan.sample, timed=plan.sample.timed[:16], curve={})
    config = replace(plan.config, samples=16, emulated_rows=12)
    return replace(plan, variants=students, sample=sample, config=config)


@pytest.fixture(scope="module")
def emulated(qemu: str, small: Plan) -> dict[str, Row]:
    targets = (LocalTarget(), parse_target("emulate:aarch64"))
    return _rows(measure(replace(small, targets=targets)), "emulate:aarch64")


def test_emulated_arm_gives_answers_and_neither_latency_nor_memory(emulated: dict[str, Row]) -> None:
    assert set(emulated) == {"student-fp32", "student-int8"}
    for row in emulated.values():
        assert row.evidence == Evidence.EMULATED
        assert row.quality.rows == 12
        assert row.quality.headline is not None
        for claim in (row.latency, row.memory, row.start, row.samples, row.speed_up):
            assert claim is None


def test_arm_answers_as_this_processor_does(emulated: dict[str, Row]) -> None:
    # With the processor named, int8 differs by rounding alone; qemu's default gives other numbers altogether.
    fp32, int8 = (emulated[name].logit_difference for name in ("student-fp32", "student-int8"))
    assert fp32 is not None
    assert int8 is not None
    assert fp32 < 1e-4
    assert int8 < 0.2
    agreement = emulated["student-int8"].quality.agreement
    assert agreement is not None
    assert agreement.value == 1


def test_ssh_measures_on_an_arm_python(
    qemu: str, server: Server, int8: Variant, small: Plan, tmp_path: Path
) -> None:
    python, root = tmp_path / "python3", aarch64_root()
    python.write_text(f'#!/bin/sh\nexec {qemu} -cpu cortex-a72 -L {root} {root}/usr/bin/python3 "$@"\n')
    python.chmod(0o755)
    targets = (LocalTarget(), server.target(str(python)))
    report = measure(replace(small, variants=(int8,), targets=targets))
    environment = report.targets[1].environment
    assert (environment.machine, environment.processor) == ("aarch64", "Cortex-A72")
    assert "asimd" in environment.isa
    row = _rows(report, "ssh://loopback")["student-int8"]
    assert row.evidence == Evidence.DEVICE
    assert row.latency is not None
    assert row.latency.samples == 16
    assert row.memory is not None
    assert row.logit_difference is not None
    assert 0 < row.logit_difference < 0.2


def test_missing_arm_python_says_what_makes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(AARCH64_ROOT, str(tmp_path / "none"))
    monkeypatch.setattr("shutil.which", lambda _: "/bin/true")
    with (
        pytest.raises(
            MeasureError, match=r"an arm64 Python in .*none: scripts/make_aarch64_root.sh makes it"
        ),
        parse_target("emulate:aarch64"),
    ):
        pass


def _rows(report: Report, target: str) -> dict[str, Row]:
    return {row.label: row for row in report.rows if row.target == target}
