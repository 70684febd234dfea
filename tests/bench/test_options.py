from dataclasses import fields
from typing import get_type_hints

import pytest

from mixkd.bench.config import FULL, QUICK, BenchConfig
from mixkd.bench.options import BenchOptions
from mixkd.errors import ConfigError


def test_every_field_of_the_config_is_an_option_of_its_type() -> None:
    wanted = {name: hint | None for name, hint in get_type_hints(BenchConfig).items()}
    assert get_type_hints(BenchOptions) == wanted


def test_help_names_the_default_and_what_the_presets_set() -> None:
    for field in fields(BenchOptions):
        default = getattr(BenchConfig(), field.name)
        said = (
            field.metadata["help"]
            .replace("[yes", "[True")
            .replace(" yes]", " True]")
            .replace("[no", "[False")
        )
        if default is not None:
            assert f"[{default:g}" in said or f"[{default}" in said, field.name
        for preset, values in (("quick", QUICK), ("full", FULL)):
            value = values.get(field.name)
            if value is not None and not isinstance(value, bool):
                assert f"{preset} {value:g}" in said, field.name


def test_given_value_wins_over_the_preset() -> None:
    config = BenchOptions(samples=128, server_target_ms=20.0).config(quick=True, full=False)
    assert (config.samples, config.server_target_ms) == (128, 20.0)
    assert config.quality_rows == QUICK["quality_rows"]


def test_nothing_given_is_the_default_measurement() -> None:
    assert BenchOptions().config(quick=False, full=False) == BenchConfig()


def test_both_presets_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="give one"):
        BenchOptions().config(quick=True, full=True)


@pytest.mark.parametrize(
    "values",
    [
        {"samples": 3},
        {"min_seconds": 9.0, "max_seconds": 3.0},
        {"server_target_ms": 0.0},
        {"quality_rows": 0},
    ],
)
def test_impossible_measurement_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BenchOptions(**values).config(quick=False, full=False)  # type: ignore[arg-type]  # numbers of both kinds
