"""`mkd inspect` works on the base install, and names whatever loading would refuse."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.errors import BundleError
from mixkd.runtime import Classifier
from mixkd.runtime.graph.wire import message
from mixkd.runtime.inspection import inspect
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE, MANIFEST_FILE
from tests.runtime.conftest import MakeBundle
from tests.runtime.test_graph import external, node, with_more

Edit = Callable[[Path], object]


def edited(name: str, addition: bytes) -> Edit:
    return lambda folder: (folder / name).write_bytes(with_more((folder / name).read_bytes(), addition))


def test_inspect_tells_what_a_bundle_holds(bundle: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(bundle)])
    assert result.exit_code == 0
    manifest = json.loads((bundle / MANIFEST_FILE).read_text())
    for wanted in (
        "input_ids, attention_mask, token_type_ids; at most 32 tokens",
        "14 MatMulInteger",
        "opset 20, IR 9",
        "embeddings 0.00 MB, encoder 0.01 MB, head 0.00 MB",
        "as the manifest says",
    ):
        assert wanted in result.stdout
    for name, entry in manifest["files"].items():
        assert name in result.stdout
        assert entry["sha256"][:16] in result.stdout


def test_inspect_needs_no_package_of_a_later_stage(bundle: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('onnx', 'torch', 'transformers', 'optimum'): sys.modules[name] = None\n"
        "from mixkd.cli import main\n"
        "sys.argv = ['mkd', 'inspect', sys.argv[1]]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, bundle], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "MatMulInteger" in done.stdout


UNSEALED: dict[str, tuple[Edit, str]] = {
    "another file": (lambda folder: (folder / "notes").write_text("x"), "doesn't belong to the bundle"),
    "a link": (lambda folder: (folder / "more").symlink_to("/etc"), "is a link"),
    "an absent file": (lambda folder: (folder / "config.json").unlink(), "is missing"),
    "a changed file": (
        lambda folder: (folder / "config.json").write_bytes(b"{}"),
        "bytes where the manifest",
    ),
    "a changed manifest": (
        lambda folder: (folder / MANIFEST_FILE).write_text(
            (folder / MANIFEST_FILE).read_text().replace('"alarm"', '"alert"')
        ),
        "checksum differs",
    ),
}
SEALED: dict[str, tuple[Edit, str]] = {
    "a foreign operator": (edited(INT8_FILE, node(b"Steal", domain=b"evil")), "evil.Steal is in no export"),
    "external data": (edited(INT8_FILE, external(b"../../secret")), "holds its weights itself"),
    "a foreign operator in the other file": (edited(FP32_FILE, node(b"Steal", domain=b"evil")), "evil.Steal"),
    "no protobuf": (lambda folder: (folder / INT8_FILE).write_bytes(b"x"), "can't be trusted"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json"),
    "a function": (
        lambda folder: (folder / INT8_FILE).write_bytes((folder / INT8_FILE).read_bytes() + message(25, b"")),
        "local functions",
    ),
}


@pytest.mark.parametrize(("edit", "words"), SEALED.values(), ids=SEALED)
def test_whatever_loading_refuses_is_named(make_bundle: MakeBundle, edit: Edit, words: str) -> None:
    refused(make_bundle(edit), words)


@pytest.mark.parametrize(("edit", "words"), UNSEALED.values(), ids=UNSEALED)
def test_whatever_is_not_as_the_manifest_says_is_named(
    make_bundle: MakeBundle, edit: Edit, words: str
) -> None:
    folder = make_bundle()
    edit(folder)
    refused(folder, words)


def refused(folder: Path, words: str) -> None:
    result = CliRunner().invoke(app, ["inspect", str(folder)])
    assert result.exit_code == 1
    assert words in str(result.exception)
    assert "as the manifest says" not in result.stdout
    assert "single_label, 5 labels" in result.stdout
    if FP32_FILE not in str(result.exception):  # an app doesn't open that one
        with pytest.raises(BundleError):
            Classifier.load(folder)


def test_every_problem_is_named(make_bundle: MakeBundle) -> None:
    folder = make_bundle(edited(INT8_FILE, node(b"Steal", domain=b"evil")))
    (folder / "notes").write_text("x")
    (folder / "config.json").unlink()
    found = inspect(folder)
    assert len(found.problems) == 3
    with pytest.raises(BundleError, match=r"(?s)notes.*config\.json is missing.*evil\.Steal"):
        found.check()


def test_a_graph_that_is_not_the_manifests_is_named_beside_other_problems(make_bundle: MakeBundle) -> None:
    folder = make_bundle(labels=("yes", "no"))
    (folder / "notes").write_text("x")
    with pytest.raises(
        BundleError, match=r"notes.*model_quantized\.onnx can.t be trusted \([^)]*\(1, 5\) as"
    ):
        inspect(folder).check()


def test_a_folder_that_is_no_bundle_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not a bundle: it has no mkd.json" in str(result.exception)
