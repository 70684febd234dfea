from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from mixkd.bench.variants import OnnxVariant
from mixkd.bench.worker.subjects import load
from mixkd.errors import BundleError
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.bundle import FP32_FILE, INT8_FILE
from mixkd.runtime.trust import check_graph, fields, read_graph
from mixkd.runtime.weights import message
from tests.runtime.conftest import MakeBundle


def load_as_bench(folder: Path) -> object:
    opened = open_bundle(folder)
    variant = OnnxVariant(
        name="student-int8",
        model=opened.model_path,
        tokenizer=folder,
        max_length=opened.manifest.max_length,
        precision="int8",
        labels=opened.manifest.labels,
    )
    return load(variant, threads=1)


def graph(content: bytes) -> bytes:
    return message(7, content)


def node(operator: bytes, domain: bytes = b"", attribute: bytes = b"") -> bytes:
    return message(1, message(4, operator) + message(7, domain) + attribute)


def external_tensor(location: bytes) -> bytes:
    entry = message(13, message(1, b"location") + message(2, location))
    return message(8, b"weights") + entry + b"\x70\x01"


def in_attribute(tensor: bytes) -> bytes:
    return message(5, message(1, b"value") + message(5, tensor))


def in_subgraph(tensor: bytes) -> bytes:
    return message(5, message(1, b"then_branch") + message(6, message(5, tensor)))


def test_read_graph_finds_the_operators_of_both_precisions(bundle: Path) -> None:
    assert "MatMulInteger" in read_graph(bundle / INT8_FILE).operators
    fp32 = read_graph(bundle / FP32_FILE)
    assert "MatMul" in fp32.operators
    assert "MatMulInteger" not in fp32.operators
    assert fp32.external_files == set()


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        (graph(node(b"Steal", b"com.example.evil")), "custom operators .com.example.evil"),
        (message(25, message(7, message(4, b"Steal") + message(7, b"evil"))), "custom operators .evil"),
        (graph(message(5, external_tensor(b"/etc/passwd"))), "reads weights from '/etc/passwd'"),
        (graph(message(5, external_tensor(b"../../../secret"))), r"reads weights from '../../../secret'"),
        (graph(message(5, external_tensor(b"../config.json"))), r"reads weights from '../config.json'"),
        (graph(message(5, external_tensor(b""))), "reads weights from ''"),
        (graph(message(5, external_tensor(b"*/_ORT_MEM_ADDR_/*"))), "_ORT_MEM_ADDR_"),
        (graph(message(5, external_tensor(b"unlisted.bin"))), "reads weights from 'unlisted.bin'"),
        (graph(message(15, message(1, external_tensor(b"/dev/zero")))), "reads weights from '/dev/zero'"),
        (graph(node(b"Constant", attribute=in_attribute(external_tensor(b"/x")))), "reads weights from '/x'"),
        (graph(node(b"If", attribute=in_subgraph(external_tensor(b"/y")))), "reads weights from '/y'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_check_graph_refuses_what_reaches_outside_the_file(
    bundle: Path, addition: bytes, words: str, tmp_path: Path
) -> None:
    content = (bundle / INT8_FILE).read_bytes() + addition
    with pytest.raises(BundleError, match=words):
        check_graph(content)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=words):
        check_graph(tmp_path / "model.onnx")


@pytest.mark.parametrize("location", ["weights.bin", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("door", [Classifier.load, load_as_bench], ids=["Classifier", "bench"])
def test_weights_in_a_listed_file_of_the_bundle_are_refused_everywhere(
    make_bundle: MakeBundle, location: str, door: Callable[[Path], object]
) -> None:
    def edit(folder: Path) -> None:
        file = folder / "onnx" / location
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"0")
        _append(folder / INT8_FILE, graph(message(5, external_tensor(location.encode()))))

    with pytest.raises(BundleError, match="holds its weights itself"):
        door(make_bundle(edit))


@pytest.mark.parametrize(
    "content", [b"x", b"\x3a\xff\xff\xff\x7f", b"\x3b", b"\x08" + b"\xff" * 30, b"\x3a\x02\x0a", b""]
)
def test_read_graph_refuses_what_is_not_protobuf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="is not an ONNX file"):
        read_graph(tmp_path / "model.onnx")


def test_read_graph_refuses_endless_nesting(tmp_path: Path) -> None:
    content = b""
    for _ in range(200):
        content = node(b"If", attribute=message(5, message(6, content)))
    (tmp_path / "model.onnx").write_bytes(message(7, content))
    with pytest.raises(BundleError, match="without end"):
        read_graph(tmp_path / "model.onnx")


def test_fields_span_the_whole_file(bundle: Path) -> None:
    data = (bundle / FP32_FILE).read_bytes()
    spans = [(begin, last) for _, begin, _, last in fields(data, 0, len(data))]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(data)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def _append(path: Path, addition: bytes) -> None:
    path.write_bytes(path.read_bytes() + addition)
