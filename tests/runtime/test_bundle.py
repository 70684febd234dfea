import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mixkd.errors import BundleError
from mixkd.runtime import Manifest, open_bundle
from mixkd.runtime.manifest import (
    FP32_FILE,
    INT8_FILE,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    checksum,
)
from tests.runtime.conftest import MakeBundle


def rewrite(folder: Path, change: dict[str, Any]) -> None:
    """Change the manifest as a forger would, who knows the checksum."""
    path = folder / MANIFEST_FILE
    body = json.loads(path.read_text(encoding="utf-8")) | change
    body.pop("checksum")
    path.write_text(json.dumps({"checksum": checksum(body), **body}), encoding="utf-8")


def test_seal_bundle_round_trips_the_manifest(make_bundle: MakeBundle) -> None:
    quality = {"student-int8": {"accuracy": 0.9456}}
    folder = make_bundle(quality=quality, threshold=0.5, abstain_label="caf\u00e9")
    manifest = open_bundle(folder).manifest
    assert (manifest.quality, manifest.threshold, manifest.abstain_label) == (quality, 0.5, "caf\u00e9")
    assert set(manifest.files) == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        INT8_FILE,
        FP32_FILE,
    }


def test_bundle_names_its_files(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert opened.model_path == bundle / INT8_FILE
    assert opened.fp32_path == bundle / FP32_FILE
    assert opened.tokenizer_path == bundle / "tokenizer.json"


def test_open_bundle_hashes_every_file_unless_told_not_to(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    path = folder / "config.json"
    path.write_bytes(path.read_bytes()[:-2] + b"  ")
    with pytest.raises(BundleError, match="sha256 differs"):
        open_bundle(folder)
    open_bundle(folder, verify=False)


def test_open_bundle_hashes_without_openssl_when_lean(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    program = (
        "import sys; from mixkd.errors import BundleError; from mixkd.runtime.bundle import open_bundle\n"
        "try: open_bundle(sys.argv[1], lean=True)\n"
        "except BundleError as error: print(error)\n"
        "print('_hashlib' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    assert subprocess.check_output(command, text=True) == "False\n"
    model = folder / INT8_FILE
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    assert "sha256 differs" in subprocess.check_output(command, text=True)


@pytest.mark.parametrize("verify", [True, False])
def test_open_bundle_checks_sizes_always(make_bundle: MakeBundle, verify: bool) -> None:
    folder = make_bundle()
    with (folder / INT8_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="bytes where the manifest says"):
        open_bundle(folder, verify=verify)


def test_open_bundle_sees_a_changed_manifest(make_bundle: MakeBundle) -> None:
    path = make_bundle() / MANIFEST_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"alarm"', '"alert"'), encoding="utf-8")
    with pytest.raises(BundleError, match="checksum differs"):
        open_bundle(path.parent)


@pytest.mark.parametrize("name", [INT8_FILE, "onnx", MANIFEST_FILE])
def test_open_bundle_refuses_links(make_bundle: MakeBundle, tmp_path: Path, name: str) -> None:
    folder = make_bundle()
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError):
        open_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"format_version": True},
        {"format_version": "1"},
        {"task": "generation"},
        {"labels": []},
        {"labels": ["a", "a"]},
        {"labels": [1, 2]},
        {"max_length": 0},
        {"max_length": "128"},
        {"max_length": 1.5},
        {"inputs": {}},
        {"model_file": "../model.onnx"},
        {"model_file": "/etc/passwd"},
        {"model_file": "onnx/absent.onnx"},
        {"model_file": 3},
        {"precision": "int4"},
        {"threshold": 7.0},
        {"threshold": "high"},
        {"files": {}},
        {"files": []},
        {"files": {"../x": {"size_bytes": 1, "sha256": ""}}},
        {"files": {"C:\\x": {"size_bytes": 1, "sha256": ""}}},
        {"files": {"config.json": {"size_bytes": 2**40, "sha256": ""}}},
        {"quality": 3},
        {"format_version": 1.0},
        {"abstain_label": {}},
        {"abstain_label": ["a"]},
        {"recipe": 5},
        {"labels": ["\ud800"]},
        {"labels": ["x" * 4, {}]},
        {"max_length": 2**64},
        {"max_length": 10**30},
        {"threshold": True},
        {"model_file": "onnx//model.onnx"},
        {"model_file": "./onnx/model.onnx"},
        {"model_file": "onnx"},
        {"files": {"config.json": {"size_bytes": 1, "sha256": "abc"}}},
        {"files": {"onnx/*": {"size_bytes": 1, "sha256": "0" * 64}}},
        {"files": {"onnx/*/_ORT_MEM_ADDR_/*": {"size_bytes": 1, "sha256": "0" * 64}}},
        {"files": {"a\nb": {"size_bytes": 1, "sha256": "0" * 64}}},
        {"files": {"a\x1b[2Jb": {"size_bytes": 1, "sha256": "0" * 64}}},
        {"files": {"x" * 5000: {"size_bytes": 1, "sha256": "0" * 64}}},
        {"files": {"mkd.json": {"size_bytes": 1, "sha256": "0" * 64}}},
        {"files": {"": {"size_bytes": 1, "sha256": "0" * 64}}},
    ],
    ids=str,
)
def test_open_bundle_refuses_a_manifest_that_makes_no_sense(
    make_bundle: MakeBundle, change: dict[str, Any]
) -> None:
    folder = make_bundle()
    rewrite(folder, change)
    with pytest.raises(BundleError):
        open_bundle(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format_version": 1e999}',
        b'{"format_version": Infinity}',
        b'{"format_version": 1, "format_version": 1}',
        b'{"format_version": ' + b"1" * 5000 + b"}",
    ],
)
def test_open_bundle_refuses_a_manifest_that_is_not_one(make_bundle: MakeBundle, content: bytes) -> None:
    folder = make_bundle()
    (folder / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(BundleError):
        open_bundle(folder)


def test_open_bundle_refuses_an_oversized_manifest_without_reading_it(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    with (folder / MANIFEST_FILE).open("wb") as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(BundleError, match="larger than any manifest"):
        open_bundle(folder)


def test_open_bundle_says_what_a_folder_that_is_no_bundle_lacks(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no mkd\.json; make one with mkd export"):
        open_bundle(tmp_path)


def test_seal_bundle_refuses_a_number_that_json_has_not(make_bundle: MakeBundle) -> None:
    with pytest.raises(ValueError, match="JSON"):
        make_bundle(quality={"accuracy": float("nan")})


def test_manifest_is_frozen(bundle: Path) -> None:
    manifest: Manifest = open_bundle(bundle).manifest
    assert replace(manifest, recipe="other").recipe == "other"
    with pytest.raises(AttributeError):
        manifest.recipe = "other"  # type: ignore[misc]  # that it can't be set is what is tested
