import os
from pathlib import Path

import psutil
import pytest

from mixkd.bench.drive.environment import memory_limit, read_environment


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/app/worker\n"}, None),
        ({"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/memory.max": "max\n"}, None),
        ({"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/memory.max": "1048576\n"}, 2**20),
        (
            {
                "proc/self/cgroup": "0::/app/worker\n",
                "sys/fs/cgroup/app/worker/memory.max": "2097152\n",
                "sys/fs/cgroup/app/memory.max": "1048576\n",
            },
            2**20,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/docker/12\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n",
            },
            2**20,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            },
            None,
        ),
    ],
)
def test_memory_limit_is_that_of_the_tightest_group(
    files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert memory_limit(tmp_path) == limit


def test_environment_is_this_machine() -> None:
    found = read_environment()
    assert found.cores == os.cpu_count()
    assert found.usable_cores == len(os.sched_getaffinity(0))
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.versions["python"]
