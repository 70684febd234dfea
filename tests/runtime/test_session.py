import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest

from mixkd.errors import BundleError, OldReleaseWarning
from mixkd.runtime import Classifier, Precision
from mixkd.runtime.bundle import opened_bundle
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from mixkd.runtime.session import LOWEST_FOR_STRANGERS, load_onnxruntime, old_release, open_session
from mixkd.runtime.trust import expected_of
from tests.runtime.conftest import MakeBundle

ROOT = Path(__file__).parents[2]

# What a user's program sees: the first import of everything, and one thread, so that any other is a stranger.
PROGRAM = """
import json, os, sys, threading
import numpy
before = len(os.listdir("/proc/self/task"))
from mixkd.runtime import Classifier
answer = Classifier.load(sys.argv[1], threads=1).predict(["pay", "wake me up at 7"])
links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
         if os.path.exists(f"/proc/self/fd/{name}")]
print(json.dumps({
    "threads": len(os.listdir("/proc/self/task")) - before,
    "sockets": [link for link in links if link.startswith("socket:")],
    "parallelism": os.environ.get("TOKENIZERS_PARALLELISM"),
    "telemetry": os.environ.get("ORT_DISABLE_TELEMETRY"),
}))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc, which Linux alone has")
def test_a_program_that_predicts_leaves_no_file_socket_or_thread_behind(bundle: Path, tmp_path: Path) -> None:
    # Not even CI may be set: onnxruntime keeps quiet where it is, and a user's machine has none.
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, bundle],
        env={"HOME": str(home), "PATH": os.environ.get("PATH", ""), "OPENBLAS_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert seen == {"threads": 0, "sockets": [], "parallelism": None, "telemetry": "1"}
    assert done.stderr == ""
    assert list(home.rglob("*")) == []


def test_load_onnxruntime_leaves_the_apps_own_choice_of_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    load_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_open_session_defaults_suit_a_guest(bundle: Path) -> None:
    options = open_session(bundle / INT8_FILE, threads=3).get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def open_with_defaults(folder: Path) -> None:
    with opened_bundle(folder) as opened:
        open_session(opened.model, expected=expected_of(opened.bundle.manifest), threads=1)


def test_open_session_refuses_an_unknown_operator(make_bundle: MakeBundle) -> None:
    def unknown_operator(folder: Path) -> None:
        model = folder / INT8_FILE
        model.write_bytes(model.read_bytes().replace(b"MatMulInteger", b"MatMulUnknown", 1))

    with pytest.raises(BundleError, match=r"operator ai\.onnx\.MatMulUnknown is in no export of mixkd"):
        open_with_defaults(make_bundle(unknown_operator))


def test_open_session_names_what_onnxruntime_can_not_load(make_bundle: MakeBundle) -> None:
    def declares_another_type(folder: Path) -> None:
        model = folder / INT8_FILE
        content = bytearray(model.read_bytes())
        kind = content.index(b"\x08\x01", content.rindex(b"\x0a\x06logits\x12"))
        content[kind + 1] = 11  # float64 in place of float32
        model.write_bytes(content)

    folder = make_bundle(declares_another_type)
    with pytest.raises(BundleError, match="can't be loaded by onnxruntime"):
        open_session(folder / INT8_FILE, threads=1)
    with pytest.raises(BundleError, match=r"'logits' is declared to be float64"):
        open_with_defaults(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ("input_ids", "attention_mask")}, "takes .*token_type_ids"),
        ({"labels": ("a", "b")}, "2 labels"),
    ],
)
def test_open_session_refuses_a_graph_that_is_not_the_manifests(
    make_bundle: MakeBundle, change: dict[str, object], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        open_with_defaults(make_bundle(**change))


@pytest.mark.parametrize(
    "claim",
    [{"model_file": FP32_FILE}, {"precision": Precision.FP32}],
    ids=["fp32 file as int8", "int8 file as fp32"],
)
def test_open_session_never_answers_from_another_precision(
    make_bundle: MakeBundle, claim: dict[str, object]
) -> None:
    with pytest.raises(BundleError, match="the manifest says"):
        open_with_defaults(make_bundle(**claim))


def test_open_session_never_falls_back_to_the_fp32_file(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    (folder / INT8_FILE).unlink()
    assert (folder / FP32_FILE).exists()
    with pytest.raises(BundleError, match="is missing"):
        open_with_defaults(folder)


def test_open_session_takes_a_graph_in_memory(bundle: Path) -> None:
    session = open_session((bundle / INT8_FILE).read_bytes(), threads=1)
    assert next(entry.name for entry in session.get_outputs()) == "logits"


in_a_checkout = pytest.mark.skipif(
    not (ROOT / "SECURITY.md").exists(), reason="reads the files of a checkout"
)


@in_a_checkout
def test_nothing_but_open_session_makes_a_session() -> None:
    # Comments and docstrings may speak of it: what counts is a call, or the name handed on.
    makers = []
    for stage in ("runtime", "compress", "export"):
        for path in sorted((ROOT / stage).rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                    makers += [f"{path.name}:{function_name(function)}"] * makes_a_session(function)
    assert makers == ["session.py:open_session"]


def function_name(function: ast.AST) -> str:
    return getattr(function, "name", "the module")


def makes_a_session(function: ast.AST) -> bool:
    """Tell whether a function's own code, not that of a function inside it, uses `InferenceSession`."""
    nested = (ast.FunctionDef, ast.AsyncFunctionDef)
    waiting, found = list(ast.iter_child_nodes(function)), False
    while waiting:
        node = waiting.pop()
        if not isinstance(node, nested):
            waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Call):
            called = node.func
            found |= getattr(called, "attr", getattr(called, "id", "")) == "InferenceSession"
    return found


@pytest.mark.parametrize("version", ["1.21.1", "1.28.0", "1.30.0", "1.30", "0.9.9"])
def test_an_old_onnxruntime_is_named_before_a_bundle_from_anybody_runs(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(load_onnxruntime(), "__version__", version)
    with pytest.warns(OldReleaseWarning, match=f"onnxruntime {version} has known memory errors"):
        Classifier.load(bundle, threads=1)
    # Whoever says which bundle is meant, or has just made the graph, is not warned: warnings are errors here.
    Classifier.load(bundle, threads=1, expect_sha256=sha256((bundle / "mkd.json").read_bytes()).hexdigest())
    open_session(bundle / INT8_FILE, threads=1)


@pytest.mark.parametrize(
    "version",
    [
        ".".join(map(str, LOWEST_FOR_STRANGERS)),
        "1.31.1",
        "1.32.0.dev20261101",
        "2.0",
        "",
        "x" * 9,
        "9" * 5000,
    ],
)
def test_a_newer_or_unreadable_version_of_onnxruntime_is_not_named(version: str) -> None:
    assert old_release(version) is None


@in_a_checkout
def test_the_documents_say_what_the_package_asks_for() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = next(word for word in tomllib.load(file)["project"]["dependencies"] if "onnxruntime" in word)
    allowed = re.match(r"onnxruntime>=(\d+\.\d+)", wanted)
    assert allowed is not None
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert re.search(
        rf"onnxruntime\s+{allowed[1]}\s+and\s+newer", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert f"allows onnxruntime {allowed[1]} and newer" in " ".join(security.split())
    assert f"use onnxruntime {'.'.join(map(str, LOWEST_FOR_STRANGERS))} or newer" in " ".join(
        security.split()
    )
