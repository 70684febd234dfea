"""What `mkd bench` is asked: options, a config file, a preset, in this order."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mixkd.bench.config import PRESETS, BenchConfig
from mixkd.errors import ConfigError
from mixkd.parameters import with_options


def asked(*words: str) -> BenchConfig:
    """Return the config that a command line gives."""
    seen: list[BenchConfig] = []

    @with_options(config_file=True, presets=PRESETS, config=BenchConfig)
    def command(config: BenchConfig) -> None:
        seen.append(config)

    app = typer.Typer()
    app.command()(command)
    CliRunner().invoke(app, list(words), catch_exceptions=False)
    return seen[0]


def test_nothing_given_is_the_default_measurement() -> None:
    assert asked() == BenchConfig()


def test_preset_sets_its_values_and_leaves_the_others() -> None:
    config = asked("--quick")
    assert config == BenchConfig.quick()
    assert (config.samples, config.teacher_int8, config.resamples) == (96, False, 1000)


def test_command_line_wins_over_config_file_and_both_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text("samples = 200\nblock = 4\n", encoding="utf-8")
    config = asked("--full", "--config", str(file), "--block", "8", "--no-scenarios")
    assert (config.samples, config.block) == (200, 8)
    assert (config.scenarios, config.cold_starts) == (False, 5)


def test_two_presets_are_refused() -> None:
    with pytest.raises(ConfigError, match="--quick and --full exclude each other"):
        asked("--quick", "--full")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"samples": 3}, "--samples must be at least 16, not 3"),
        ({"min_seconds": 9.0, "max_seconds": 3.0}, "--max-seconds must be at least --min-seconds"),
        ({"server_target_ms": 0.0}, "--server-target-ms must be above 0, not 0.0"),
        ({"min_seconds": float("nan")}, "--min-seconds must be at least 0, not nan"),
        ({"quality_rows": 0}, "--quality-rows must be at least 1, not 0"),
        ({"resamples": 10**9}, "--resamples must be at least 100 and at most 100000, not 1000000000"),
    ],
)
def test_impossible_measurement_is_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BenchConfig(**values)  # type: ignore[arg-type]  # numbers of both kinds


def test_help_shows_default_and_presets() -> None:
    from mixkd.cli import app

    done = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "200"})
    assert "[default: 1024; --quick: 96; --full: 4096]" in " ".join(done.output.split())
