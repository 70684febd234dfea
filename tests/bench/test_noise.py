import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from mixkd.bench.drive.noise import compare_readings
from mixkd.bench.worker.machine import Reading, read_counters

QUIET = Reading(
    busy_s=100,
    steal_s=0,
    total_s=1000,
    own_s=50,
    throttles=0,
    temperature_c=None,
    cores=2,
    load_average=0.5,
)


def later(*, busy_s: float, own_s: float, steal_s: float = 0, throttles: int = 0) -> Reading:
    """Ten seconds on two cores later."""
    return replace(
        QUIET,
        busy_s=QUIET.busy_s + busy_s,
        own_s=QUIET.own_s + own_s,
        total_s=QUIET.total_s + 20,
        steal_s=steal_s,
        throttles=throttles,
    )


def test_own_work_is_no_noise() -> None:
    noise = compare_readings(QUIET, later(busy_s=10.2, own_s=10), governor=None)
    assert noise is not None
    assert noise.warnings == ()
    assert round(noise.others_cores, 3) == 0.02


def test_other_processes_throttling_steal_and_governor_are_each_named() -> None:
    disturbed = later(busy_s=15, own_s=10, steal_s=1, throttles=3)
    noise = compare_readings(QUIET, disturbed, governor="powersave")
    assert noise is not None
    assert noise.others_cores == 0.5
    assert noise.steal_share == 0.05
    assert [warning.split()[0] for warning in noise.warnings] == ["other", "the", "heat", "the"]


def test_observer_that_is_gone_leaves_no_noise() -> None:
    assert compare_readings(None, QUIET, governor=None) is None
    assert compare_readings(QUIET, None, governor=None) is None


def test_processor_time_is_that_of_the_kernel() -> None:
    """Against /proc/stat itself, in its own ticks."""
    ticks = os.sysconf("SC_CLK_TCK")
    tick = 1 / ticks  # and what floats lose
    before = read_counters([])
    fields = [int(word) / ticks for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    after = read_counters([])
    busy = sum(fields) - fields[3] - fields[4] - fields[7]
    assert before.total_s - tick <= sum(fields) <= after.total_s + tick
    assert before.steal_s - tick <= fields[7] <= after.steal_s + tick
    assert before.busy_s - tick <= busy <= after.busy_s + tick


def test_time_of_what_a_measured_process_started_is_its_own() -> None:
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        while read_counters([process.pid]).own_s < 0.3:
            assert process.poll() is None
            time.sleep(0.02)


def test_counters_of_this_process_grow_with_its_work() -> None:
    before = read_counters([os.getpid()])
    while True:
        sum(range(100_000))
        after = read_counters([os.getpid()])
        if after.own_s > before.own_s and after.total_s > before.total_s:
            break  # the two clocks tick every hundredth of a second, not together
    assert after.busy_s >= before.busy_s
    assert after.total_s > before.total_s
