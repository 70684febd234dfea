from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixkd.bench.drive.caps import smallest_cap
from mixkd.bench.drive.processes import WorkerProcess
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets import cgroups, list_targets, parse_target, profiles
from mixkd.bench.targets.base import LocalTarget
from mixkd.bench.targets.cgroups import find_means, make_group
from mixkd.bench.targets.emulate import AARCH64_ROOT
from mixkd.bench.targets.profiles import PROFILES, Profile, ProfileTarget
from mixkd.bench.variants import Variant
from mixkd.errors import ConfigError, MeasureError
from tests.tools import need

MIB = 2**20


@pytest.mark.parametrize("word", ["ssh://board", "emulate:nehalem"])
def test_torch_is_measured_on_this_machine_alone(word: str, plan: Plan) -> None:
    torch = next(variant for variant in plan.variants if variant.name == "teacher-torch")
    with pytest.raises(MeasureError, match="only onnxruntime"):
        parse_target(word).prepare(torch)


@pytest.mark.parametrize(
    "word",
    [
        "elsewhere",
        "ssh://",
        "ssh://host/path",
        "ssh://user:secret@host",
        "ssh://-oProxyCommand=x",
        "ssh://host:port",
        "ssh://host?shell=sh",
        "profile:toaster",
        "emulate:z80",
    ],
)
def test_impossible_target_is_refused(word: str) -> None:
    with pytest.raises(ConfigError):
        parse_target(word)


@pytest.mark.slow
def test_profile_row_makes_no_speed_claim_and_has_a_smallest_cap(int8: Variant, plan: Plan) -> None:
    target = parse_target("profile:pi-zero-2w")
    report = measure(replace(plan, variants=(int8, replace(int8, name="again")), targets=(target,)))
    for row in report.rows:
        assert row.evidence == Evidence.CAPPED_HOST
        assert row.speed_up is None
        assert row.memory is not None
        cap = row.memory.smallest_cap_bytes
        assert cap is not None
        assert 16 * MIB < cap < PROFILES["pi-zero-2w"].memory_bytes


@pytest.mark.slow
def test_each_variant_has_the_cap_for_itself(int8: Variant, plan: Plan) -> None:
    greedy = replace(plan, variants=tuple(replace(int8, name=f"student-{i}") for i in range(4)))
    alone = ProfileTarget("profile:one", Profile(110 * MIB, 1, "room for one worker, not for four"))
    config = replace(plan.config, samples=16)
    report = measure(replace(greedy, config=config, targets=(alone,)))
    assert len(report.rows) == 4
    assert not alone._groups


@pytest.mark.parametrize("means", ["the best there is", "rlimit"])
def test_cap_below_need_is_named(means: str, int8: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    if means == "rlimit":
        monkeypatch.setattr(profiles, "make_group", lambda *_: None)
    with ProfileTarget("profile:tiny", Profile(12 * MIB, 1, "too small")) as target:
        worker = WorkerProcess(int8, target, threads=1)
        with worker, pytest.raises(MeasureError, match="student-int8"):
            worker.load("hello")


@pytest.mark.slow
def test_rootless_cap_holds_and_is_found(int8: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "make_group", lambda *_: None)
    target = ProfileTarget("profile:small", Profile(400 * MIB, 1, "small"))
    assert target.means == "rlimit"
    cap = smallest_cap(int8, target, "hello", threads=1)
    assert 8 * MIB < cap < 400 * MIB


def test_group_is_made_in_v2_where_memory_is_delegated(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    group = make_group(64 * MIB, 2, root=tmp_path)
    assert group is not None
    assert group.means == "cgroup v2"
    (folder,) = group.folders
    assert (folder / "memory.max").read_text() == f"{64 * MIB}\n"
    assert group.joining == [folder / "cgroup.procs"]


def test_group_is_made_in_v1_hierarchies(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("max")
    group = make_group(64 * MIB, 2, root=tmp_path)
    assert group is not None
    assert group.means == "cgroup v1"
    assert (group.folders[0] / "memory.limit_in_bytes").read_text() == f"{64 * MIB}\n"


def test_no_group_where_there_is_no_controller(tmp_path: Path) -> None:
    assert make_group(64 * MIB, 2, root=tmp_path) is None


@pytest.mark.slow
def test_emulated_row_has_answers_and_neither_latency_nor_memory(int8: Variant, plan: Plan) -> None:
    need("qemu-x86_64-static", package="qemu-user-static")
    config = replace(plan.config, emulated_rows=5)
    targets = (LocalTarget(), parse_target("emulate:haswell"))
    report = measure(replace(plan, config=config, variants=(int8,), targets=targets))
    row = report.rows[1]
    assert row.evidence == Evidence.EMULATED
    assert row.quality.rows == 5
    for claim in (row.latency, row.memory, row.start, row.samples, row.speed_up):
        assert claim is None
    assert row.logit_difference is not None
    assert np.isfinite(row.logit_difference)
    assert "emulated" in report.targets[1].environment.processor


def test_missing_emulator_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(MeasureError, match="apt-get install qemu-user-static"),
        parse_target("emulate:nehalem"),
    ):
        pass


def test_list_names_every_target_that_can_be_parsed() -> None:
    names = [listed.name for listed in list_targets()]
    assert "local" in names
    for name in names:
        if "host" not in name:
            assert parse_target(name).name == name


def test_listing_makes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a control group was made")

    monkeypatch.setattr(profiles, "make_group", refuse)
    notes = [listed.note for listed in list_targets() if listed.name.startswith("profile:")]
    assert len(notes) == len(PROFILES)
    assert all("memory capped by " in note for note in notes)


def test_means_are_those_of_the_group_that_is_made(tmp_path: Path) -> None:
    assert find_means(tmp_path) is None
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("max")
    group = make_group(64 * MIB, 2, root=tmp_path)
    assert group is not None
    assert find_means(tmp_path) == group.means == "cgroup v1"


def test_group_whose_caps_are_refused_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("memory")

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(cgroups, "_write", refuse)
    assert make_group(64 * MIB, 2, root=tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.subtree_control"]


def test_profile_is_refused_where_caps_are_not_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(MeasureError, match="profile:pi-4 needs Linux"), parse_target("profile:pi-4"):
        pass
    states = {listed.name: listed.missing for listed in list_targets()}
    assert "Linux" in str(states["profile:pi-4"])


def test_list_says_what_to_install_for_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(AARCH64_ROOT, str(tmp_path))
    (tmp_path / "qemu-aarch64-static").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = {listed.name: listed.missing for listed in list_targets()}
    assert missing["local"] is None
    assert missing["ssh://user@host[:port][?python=PATH]"] == "an OpenSSH client"
    assert missing["emulate:haswell"] == "apt-get install qemu-user-static"
    assert "scripts/make_aarch64_root.sh makes it" in str(missing["emulate:aarch64"])
