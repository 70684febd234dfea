import os
from dataclasses import replace

from mixkd.bench.drive.noise import Reading, compare_readings, read_counters

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


def test_system_without_counters_gives_none() -> None:
    assert compare_readings(None, QUIET, governor=None) is None


def test_counters_of_this_process_grow_with_its_work() -> None:
    before = read_counters([os.getpid()])
    assert before is not None
    while True:
        sum(range(100_000))
        after = read_counters([os.getpid()])
        assert after is not None
        if after.own_s > before.own_s and after.total_s > before.total_s:
            break  # the two clocks tick every hundredth of a second, not together
    assert after.busy_s >= before.busy_s
    assert after.total_s > before.total_s
