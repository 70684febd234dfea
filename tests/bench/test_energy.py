from pathlib import Path

import pytest

from mixkd.bench.variants import Variant, to_json
from mixkd.bench.worker import counters
from mixkd.bench.worker.counters import read_energy_uj, spent_uj
from mixkd.bench.worker.main import Worker


def zone(root: Path, name: str, counter: int) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "energy_uj").write_text(f"{counter}\n")
    (root / name / "max_energy_range_uj").write_text("1000000\n")


def test_energy_is_summed_over_packages_and_not_their_parts(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 100)
    zone(tmp_path, "intel-rapl:0:0", 50)
    zone(tmp_path, "intel-rapl:1", 7)
    before = read_energy_uj(tmp_path)
    zone(tmp_path, "intel-rapl:0", 400)
    zone(tmp_path, "intel-rapl:0:0", 350)
    zone(tmp_path, "intel-rapl:1", 17)
    assert spent_uj(before, read_energy_uj(tmp_path)) == 310


def test_counter_that_started_again_is_carried_over(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 999_900)
    before = read_energy_uj(tmp_path)
    zone(tmp_path, "intel-rapl:0", 50)
    assert spent_uj(before, read_energy_uj(tmp_path)) == 150


def test_machine_that_tells_nothing_gives_none(tmp_path: Path) -> None:
    assert read_energy_uj(tmp_path) == {}
    assert spent_uj({}, {}) is None


def test_block_has_the_energy_that_the_counters_tell(
    int8: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()
    worker.load({"variant": to_json(int8), "threads": 1, "first": "hello"})
    readings = iter([{"intel-rapl:0": (1_000, 10**9)}, {"intel-rapl:0": (43_000, 10**9)}])
    monkeypatch.setattr(counters, "read_energy_uj", lambda: next(readings))
    assert worker.time({"texts": ["hello"]})["energy_uj"] == 42_000
    monkeypatch.setattr(counters, "read_energy_uj", lambda: read_energy_uj(tmp_path))
    assert worker.time({"texts": ["hello"]})["energy_uj"] is None
