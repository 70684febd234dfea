import os
from pathlib import Path

import pytest

from mixkd.runtime.threads import available_threads, cpu_quota

V2, V1 = "0::/app/worker\n", "4:cpu,cpuacct:/docker/12\n1:name=systemd:/x\n0::/\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": V2}, None),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/app/worker/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/app/worker/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/app/cpu.max": "50000 100000\n"}, 0.5),
        (
            {
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/app/worker/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/app/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/12/cpu.cfs_quota_us": "25000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/12/cpu.cfs_period_us": "100000\n",
            },
            0.25,
        ),
        (
            # As a container without a cgroup namespace sees it: its own group is the mount's top.
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4.0,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/app/cpu.max": "nonsense"}, None),
        ({"proc/self/cgroup": "garbage"}, None),
    ],
)
def test_cpu_quota_is_the_tightest_of_both_versions(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(write(tmp_path, files)) == quota


def test_available_threads_rounds_the_quota_up_and_is_at_least_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    path = "sys/fs/cgroup/app/cpu.max"
    assert available_threads(write(tmp_path, {"proc/self/cgroup": V2})) == 8
    assert available_threads(write(tmp_path, {path: "150000 100000"})) == 2
    assert available_threads(write(tmp_path, {path: "1000 100000"})) == 1
    assert available_threads(write(tmp_path, {path: "9900000 100000"})) == 8
    assert available_threads(tmp_path, at_most=4) == 4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_available_threads_follows_the_affinity() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_threads() == 1
    finally:
        os.sched_setaffinity(0, before)
