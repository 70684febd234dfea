"""A whole measurement where there is no /proc, no control group and no affinity, as on macOS."""

import os
import subprocess
import sys
from pathlib import Path

from mixkd.bench.report.files import read_report

FOREIGN = Path(__file__).parent / "foreign_system"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FOREIGN)},
    )


def test_the_foreign_system_is_one() -> None:
    code = (
        "import os, pathlib\n"
        "print(pathlib.Path('/proc/self/status').exists(), hasattr(os, 'sched_getaffinity'))"
    )
    done = run("-c", code)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_bench_runs_to_the_end_and_has_memory_and_noise(
    bundle: Path, rows: list[str], tmp_path: Path
) -> None:
    (tmp_path / "test.tsv").write_text("text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    words = ["bench", str(bundle), "--data", str(tmp_path), "--output", str(tmp_path / "report"), "--quick"]
    done = run("-m", "mixkd.cli", *words, "--cold-starts", "1")
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
    done = run("-m", "mixkd.cli", "targets")
    assert done.returncode == 0, done.stderr
    assert "memory capped by rlimit" in done.stdout
