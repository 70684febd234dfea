"""A whole measurement without what only Linux has, as on macOS, or without any POSIX call, as on Windows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixkd.bench.report.files import read_report

FOREIGN = Path(__file__).parent / "foreign_system"
SYSTEMS = ("macos", "windows")


def run(system: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FOREIGN), "MKD_TEST_SYSTEM": system},
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_foreign_system_is_one(system: str) -> None:
    code = (
        "import os, pathlib\n"
        "print(pathlib.Path('/proc/self/status').exists(), hasattr(os, 'sched_getaffinity'))\n"
        "print(hasattr(os, 'fork'))"
    )
    done = run(system, "-c", code)
    assert done.stdout.split() == ["False", "False", str(system == "macos")], done.stderr


def test_mixkd_sees_windows() -> None:
    code = (
        "from mixkd.runtime import threads\n"
        "from mixkd import temporaries\n"
        "from mixkd.bench.targets import pipes\n"
        "print(temporaries.sys.platform, pipes.os.name, hasattr(pipes.signal, 'SIGKILL'), "
        "hasattr(pipes.signal, 'SIGTERM'), hasattr(temporaries, 'fcntl'), hasattr(threads.os, 'O_NOFOLLOW'))"
    )
    done = run("windows", "-c", code)
    assert done.stdout.split() == ["win32", "nt", "False", "True", "False", "False"], done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_bench_runs_to_the_end_and_has_memory_and_noise(
    bundle: Path, rows: list[str], tmp_path: Path, system: str
) -> None:
    (tmp_path / "test.tsv").write_text("text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    words = ["bench", str(bundle), "--data", str(tmp_path), "--output", str(tmp_path / "report"), "--quick"]
    done = run(system, "-m", "mixkd.cli", *words, "--cold-starts", "1")
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "report" / "report.json")
    assert [row.label for row in report.rows] == ["student-fp32", "student-int8"]
    for row in report.rows:
        assert row.latency is not None
        assert row.memory is not None
        assert 0 < (row.memory.baseline_bytes or 0) < (row.memory.loaded_bytes or 0)
        assert (row.memory.peak_rss_bytes or 0) >= (row.memory.loaded_bytes or 0)
        assert 0 < (row.memory.uss_bytes or 0) < (row.memory.peak_rss_bytes or 0)
        assert row.cold_start is not None
        assert len(row.cold_start.warm_ms) == 1
        assert row.cold_start.evicted_ms == ()
    (target,) = report.targets
    assert target.noise is not None
    assert target.noise.temperature_c is None
    assert target.environment.memory_bytes
    assert target.environment.usable_cores == os.cpu_count()


def test_targets_are_listed(tmp_path: Path) -> None:
    done = run("macos", "-m", "mixkd.cli", "targets")
    assert done.returncode == 0, done.stderr
    assert "memory capped by rlimit" in done.stdout
