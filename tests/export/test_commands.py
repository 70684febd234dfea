"""`mkd export` and `mkd inspect`, as typed."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.outputs import fresh_folder
from mixkd.runtime import open_bundle


@pytest.fixture(scope="module")
def printed(student: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the command prints, and the bundle it writes."""
    bundle = tmp_path_factory.mktemp("out") / "bundle"
    arguments = ["export", student, "--int8", "--output", bundle, "--data", data]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout, bundle


def test_export_prints_the_size_by_part_and_the_accuracy_before_and_after(printed: tuple[str, Path]) -> None:
    text, bundle = printed
    quality = open_bundle(bundle).manifest.quality
    assert str(bundle) in text
    assert "embeddings 0.01, encoder 0." in text
    assert f"100.00 % in PyTorch, 100.00 % fp32, {100 * quality['int8']:.2f} % int8" in text
    assert "60 texts of test" in text


def test_inspect_shows_the_sha256_that_export_printed(printed: tuple[str, Path]) -> None:
    text, bundle = printed
    result = CliRunner().invoke(app, ["inspect", str(bundle)])
    assert result.exit_code == 0
    digest = hashlib.sha256((bundle / "mkd.json").read_bytes()).hexdigest()
    assert f"sha256    {digest}" in text
    for wanted in (
        f"sha256     {digest}",
        "input_ids, attention_mask, token_type_ids",
        "13 MatMulInteger",
        "2 If",
    ):
        assert wanted in result.stdout


def test_killed_export_leaves_the_old_bundle(student: Path, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with fresh_folder(target) as folder:
        (folder / "old").write_text("old")
    arguments = ["export", str(student), "--output", str(target), "--overwrite"]
    silent = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", "mixkd.cli", *arguments], stdout=silent, stderr=silent)
    while process.poll() is None and not list(tmp_path.glob(".bundle.*.partial/config.json")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (target / "old").read_text() == "old"
