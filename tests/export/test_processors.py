"""int8 answers on other processors, run by qemu."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixkd.bench.targets.emulate import EmulatedTarget
from mixkd.cli import app
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError
from mixkd.export import ExportConfig, export
from mixkd.export.judge.processors import OtherProcessor
from mixkd.runtime import open_bundle
from tests.tools import need, unavailable


@pytest.mark.slow
@pytest.mark.parametrize("name", ["haswell", "nehalem", "aarch64"])
def test_portable_labels_are_the_same_on_another_processor(
    student: Path, data: Path, tmp_path: Path, name: str
) -> None:
    need("qemu-aarch64-static" if name == "aarch64" else "qemu-x86_64-static", package="qemu-user-static")
    if missing := EmulatedTarget.named(name).missing():
        unavailable(f"needs {missing}")
    arguments = ["export", student, "--output", tmp_path / "b", "--data", data, "--target-isa", name]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    details = json.loads((tmp_path / "b" / "export.json").read_text())
    (found,) = details["processors"]
    assert (found["name"], found["texts"], found["agreement"]) == (name, 60, 1)
    # Another kernel of the same sums: rounding alone, and not the very same program.
    assert 0 < found["largest_difference"] < 0.1
    assert open_bundle(tmp_path / "b").manifest.quality[f"agreement_on_{name}"] == 1
    assert f"{name:9} 100.00 % of the labels are the same there" in result.stdout
    assert f"| {name} | 100.00 % |" in (tmp_path / "b" / "README.md").read_text()


def test_processor_that_answers_otherwise_is_noted() -> None:
    other = OtherProcessor(name="haswell", texts=200, agreement=0.97, largest_difference=0.4)
    assert other.notes() == ("3.00 % of the labels differ on haswell: use --recipe portable",)


def test_unknown_processor_is_refused_before_any_work(
    student: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # as on a machine without qemu
    config = ExportConfig(target_isa=("haswell", "z80"))
    with pytest.raises(ConfigError, match=r"--target-isa must be one of aarch64, haswell, nehalem, not z80"):
        export(student, tmp_path / "b", config=config, data=open_corpus(data))


def test_processor_without_its_emulator_is_refused_with_the_cure(
    student: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    config = ExportConfig(target_isa=("nehalem",))
    with pytest.raises(ConfigError, match=r"nehalem needs apt-get install qemu-user-static"):
        export(student, tmp_path / "b", config=config, data=open_corpus(data))
