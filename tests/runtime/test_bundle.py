import json
import re
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
    ("change", "words"),
    [
        ({"format_version": 2}, "format version 2"),
        ({"format_version": True}, "format version True"),
        ({"format_version": "1"}, "format version '1'"),
        ({"format_version": 1.0}, "format version 1.0"),
        ({"task": "generation"}, "'generation' is not a valid"),
        ({"labels": []}, "not a list of names"),
        ({"labels": ["a", "a"]}, "a name stands twice"),
        ({"labels": [1, 2]}, "1 is not a text"),
        ({"labels": ["\ud800"]}, "surrogates not allowed"),
        ({"labels": ["x" * 4, {}]}, "{} is not a text"),
        ({"max_length": 0}, "0 is not a whole number"),
        ({"max_length": "128"}, "'128' is not a whole number"),
        ({"max_length": 1.5}, "1.5 is not a whole number"),
        ({"max_length": 2**17 + 1}, "131073 is not a whole number from 1 to 131072"),
        ({"max_length": 2**64}, "18446744073709551616 is not a whole number"),
        ({"inputs": {}}, "not a list of names"),
        ({"model_file": "../model.onnx"}, "is not the name of a file"),
        ({"model_file": "/etc/passwd"}, "is not the name of a file"),
        ({"model_file": "onnx/absent.onnx"}, "doesn't list onnx/absent.onnx"),
        ({"model_file": 3}, "3 is not a text"),
        ({"model_file": "onnx//model.onnx"}, "is not the name of a file"),
        ({"model_file": "./onnx/model.onnx"}, "is not the name of a file"),
        ({"model_file": "onnx"}, "doesn't list onnx"),
        ({"precision": "int4"}, "'int4' is not a valid"),
        ({"threshold": 7.0}, "7.0 is not a probability"),
        ({"threshold": "high"}, "'high' is not a probability"),
        ({"threshold": True}, "True is not a probability"),
        ({"files": {}}, "doesn't list"),
        ({"files": []}, "[] is not a mapping"),
        ({"quality": 3}, "3 is not a mapping"),
        ({"abstain_label": {}}, "{} is not a text"),
        ({"abstain_label": ["a"]}, "['a'] is not a text"),
        ({"recipe": 5}, "5 is not a text"),
    ],
    ids=str,
)
def test_open_bundle_refuses_a_manifest_that_makes_no_sense(
    make_bundle: MakeBundle, change: dict[str, Any], words: str
) -> None:
    folder = make_bundle()
    rewrite(folder, change)
    with pytest.raises(BundleError, match=re.escape(words)):
        open_bundle(folder)


NOT_IN_FOLDER, NO_SUCH_NAME = (
    "is not the name of a file in the folder",
    "is not a name that a file of a bundle",
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../x", NOT_IN_FOLDER),
        ("onnx/../x", NOT_IN_FOLDER),
        ("onnx//x", NOT_IN_FOLDER),
        ("", NOT_IN_FOLDER),
        ("x" * 5000, NOT_IN_FOLDER),
        ("/".join("x" * 520), NOT_IN_FOLDER),
        ("C:\\x", NO_SUCH_NAME),
        ("onnx/*", NO_SUCH_NAME),
        ("onnx/*/_ORT_MEM_ADDR_/*", NO_SUCH_NAME),
        ("a\nb", NO_SUCH_NAME),
        ("a\x1b[2Jb", NO_SUCH_NAME),
        ("mkd.json", NO_SUCH_NAME),
        ("mkd.json.sig", NO_SUCH_NAME),
    ],
)
def test_open_bundle_refuses_a_file_name(make_bundle: MakeBundle, name: str, words: str) -> None:
    folder = make_bundle()
    listed = json.loads((folder / MANIFEST_FILE).read_bytes())["files"]
    rewrite(folder, {"files": {**listed, name: {"size_bytes": 1, "sha256": "0" * 64}}})
    with pytest.raises(BundleError, match=words):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("config.json", {"size_bytes": 2**40}, "is not a whole number from 1 to 2147483648"),
        ("tokenizer.json", {"size_bytes": 2**26 + 1}, "is not a whole number from 1 to 67108864"),
        ("config.json", {"size_bytes": True}, "True is not a whole number"),
        ("config.json", {"sha256": "abc"}, "'abc' is not a sha256"),
        ("config.json", {"sha256": "Z" * 64}, "is not a sha256"),
    ],
)
def test_open_bundle_refuses_a_file_entry(
    make_bundle: MakeBundle, name: str, entry: dict[str, Any], words: str
) -> None:
    folder = make_bundle()
    listed = json.loads((folder / MANIFEST_FILE).read_bytes())["files"]
    rewrite(folder, {"files": {**listed, name: {**listed[name], **entry}}})
    with pytest.raises(BundleError, match=words):
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
