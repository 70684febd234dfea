import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from mixkd.bench.variants import OnnxVariant
from mixkd.bench.worker.subjects import load
from mixkd.errors import BundleError
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.files import OpenFile
from mixkd.runtime.graph.facts import Fact, Facts, Growing, grows
from mixkd.runtime.graph.layout import flatten
from mixkd.runtime.graph.model import INT64, Node
from mixkd.runtime.graph.reading import MAX_NODES
from mixkd.runtime.graph.wire import Source, encoded, message
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from mixkd.runtime.trust import check_graph, expected_of, operators, read
from tests.runtime.conftest import FIXTURE, MakeBundle

GRAPH = 7


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


def number(field: int, value: int) -> bytes:
    return encoded(field << 3) + encoded(value)


def node(operator: bytes, *, domain: bytes = b"", more: bytes = b"") -> bytes:
    return message(1, message(2, b"made") + message(4, operator) + message(7, domain) + more)


def tensor(name: bytes, dims: list[int], raw: bytes, *, kind: int = 1, more: bytes = b"") -> bytes:
    shape = b"".join(number(1, size) for size in dims)
    return message(5, shape + number(2, kind) + message(8, name) + message(9, raw) + more)


def external(location: bytes) -> bytes:
    entry = message(13, message(1, b"location") + message(2, location))
    return message(5, number(1, 1) + number(2, 1) + message(8, b"weights") + entry + number(14, 1))


def attribute(name: bytes, kind: int, value: bytes) -> bytes:
    return message(5, message(1, name) + value + number(20, kind))


def branch(content: bytes) -> bytes:
    return attribute(b"then_branch", 5, message(6, content)) + attribute(
        b"else_branch", 5, message(6, content)
    )


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = node(b"If", more=attribute(b"then_branch", 5, message(6, content)))
    return content


def with_more(content: bytes, addition: bytes) -> bytes:
    """Return a model with something more in its graph."""
    source = Source(content)
    return b"".join(
        message(GRAPH, content[first:last] + addition) if field == GRAPH else content[begin:last]
        for field, _, begin, first, last in source.fields(0, source.size)
    )


def test_read_finds_the_operators_of_both_precisions(bundle: Path) -> None:
    assert "MatMulInteger" in operators(read(bundle / INT8_FILE))
    fp32 = operators(read(bundle / FP32_FILE))
    assert "MatMul" in fp32
    assert "MatMulInteger" not in fp32


ADDITIONS = {
    "foreign operator": (
        node(b"Steal", domain=b"example.evil"),
        "evil.Steal is in no export",
    ),
    "known domain": (node(b"GroupQueryAttention", domain=b"com.microsoft"), "GroupQueryAttention is in no"),
    "trees": (node(b"TreeEnsemble", domain=b"ai.onnx.ml"), "TreeEnsemble is in no export"),
    "loop": (node(b"Loop", more=attribute(b"body", 5, message(6, b""))), "Loop is in no export"),
    "scan": (node(b"Scan", more=attribute(b"body", 5, message(6, b""))), "Scan is in no export"),
    "in a branch": (node(b"If", more=branch(node(b"Steal", domain=b"evil"))), "evil.Steal is in no export"),
    "foreign attribute": (
        node(b"Relu", more=attribute(b"evil", 2, number(3, 1))),
        "'evil' of Relu is in no export",
    ),
    "sparse": (message(15, b""), "sparse initializers"),
    "quantization note": (message(14, b""), "a field 14 of a graph"),
    "path": (external(b"/etc/passwd"), "holds its weights itself"),
    "path outside": (external(b"../../../secret"), "holds its weights itself"),
    "empty path": (external(b""), "holds its weights itself"),
    "address": (external(b"*/_ORT_MEM_ADDR_/*"), "holds its weights itself"),
    "external in a constant": (
        node(b"Constant", more=attribute(b"value", 4, message(5, external(b"/x")[2:]))),
        "holds its weights itself",
    ),
    "external in a branch": (node(b"If", more=branch(external(b"/y"))), "holds its weights itself"),
    "too few numbers": (tensor(b"w", [1000, 1000], b"1234"), "holds 1 numbers where its shape says 1000000"),
    "no whole number": (tensor(b"w", [1], b"12345"), "holds 1.25 numbers"),
    "negative shape": (tensor(b"w", [2**64 - 1], b"1234"), "a dimension of -1"),
    "overflowing shape": (tensor(b"w", [2**62, 4], b""), "a dimension of"),
    "number format": (tensor(b"w", [1], b"1234", kind=8), "the number format 8"),
    "raw and listed": (tensor(b"w", [1], b"1234", more=message(4, b"1234")), "numbers where its shape"),
    "twice": (tensor(b"w", [1], b"1234") * 2, "two initializers have the name 'w'"),
    "shape twice": (tensor(b"w", [1], b"1234", more=number(2, 1)), "stands twice"),
    "name": (tensor(b"\xff\xfe", [1], b"1234"), "can't decode"),
    "too many nodes": (node(b"Relu") * (MAX_NODES + 1), "more than 20000 nodes"),
    "inputs of one name": (message(11, message(1, b"a")) * 2, "two inputs have the name 'a'"),
    "too many inputs": (b"".join(message(11, message(1, b"%d" % i)) for i in range(2000)), "too many inputs"),
    "tiny fields": (message(16, b"") * 2**20, "more than 1048576 fields"),
    "nesting": (nested(100), "without end"),
}


@pytest.mark.parametrize(("addition", "words"), ADDITIONS.values(), ids=ADDITIONS)
def test_check_graph_refuses_what_no_export_writes(
    bundle: Path, addition: bytes, words: str, tmp_path: Path
) -> None:
    content = with_more((bundle / INT8_FILE).read_bytes(), addition)
    with pytest.raises(BundleError, match=words):
        check_graph(content)
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=words):
        check_graph(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        (message(25, message(1, b"f")), "local functions"),
        (message(20, b""), "training graphs"),
        (message(GRAPH, node(b"Relu")), "field 7 of the model stands twice"),
        (message(99, b""), "field 99 of the model is unknown"),
        (message(8, message(1, b"") + number(2, 99)), "two versions of the operators"),
        (message(8, message(1, b"evil") + number(2, 1)), "the operators evil of version 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_check_graph_refuses_a_model_with_more_than_a_graph(
    bundle: Path, addition: bytes, words: str
) -> None:
    with pytest.raises(BundleError, match=words):
        check_graph((bundle / INT8_FILE).read_bytes() + addition)


@pytest.mark.parametrize("location", ["weights.bin", "_ORT_MEM_ADDR_"])
@pytest.mark.parametrize("door", [Classifier.load, load_as_bench], ids=["Classifier", "bench"])
def test_weights_in_a_listed_file_of_the_bundle_are_refused_everywhere(
    make_bundle: MakeBundle, location: str, door: Callable[[Path], object]
) -> None:
    def edit(folder: Path) -> None:
        (folder / "onnx" / location).write_bytes(b"0123")
        model = folder / INT8_FILE
        model.write_bytes(with_more(model.read_bytes(), external(location.encode())))

    with pytest.raises(BundleError, match="holds its weights itself"):
        door(make_bundle(edit))


@pytest.mark.parametrize("name", [INT8_FILE, FP32_FILE])
def test_whatever_a_graph_lacks_at_its_end_is_seen(bundle: Path, name: str) -> None:
    content = (bundle / name).read_bytes()
    for size in range(0, len(content), 37):
        with pytest.raises(BundleError, match="can't be trusted"):
            check_graph(content[:size])


@pytest.mark.parametrize(
    "content", [b"x", b"\x3a\xff\xff\xff\x7f", b"\x3b", b"\x08" + b"\xff" * 30, b"\x3a\x02\x0a", b""]
)
def test_check_graph_refuses_what_is_not_protobuf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="can't be trusted"):
        check_graph(tmp_path / "model.onnx")


def test_a_file_is_read_as_its_content_is(bundle: Path) -> None:
    content = (bundle / FP32_FILE).read_bytes()
    with OpenFile(bundle / FP32_FILE) as file:
        piecewise = Source(descriptor=file.fileno(), size=file.size)
        found = list(piecewise.fields(0, file.size))
        graph = next(field for field in found if field[0] == GRAPH)
        nodes = list(piecewise.fields(graph[3], graph[4]))
    whole = Source(content)
    assert found == list(whole.fields(0, whole.size))
    assert nodes == list(whole.fields(graph[3], graph[4]))
    assert all(before[4] == after[2] for before, after in pairwise(nodes))


def test_weights_are_not_read_to_check_a_graph(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bundle()
    model = folder / INT8_FILE
    heavy = tensor(b"unused", [2**20], struct.pack("<f", 1.0) * 2**20)
    model.write_bytes(with_more(model.read_bytes(), heavy))
    taken = 0
    read_at = Source.read

    def counted(self: Source, start: int, end: int) -> bytes:
        nonlocal taken
        taken += end - start
        return read_at(self, start, end)

    monkeypatch.setattr(Source, "read", counted)
    check_graph(model, expected_of(open_bundle(FIXTURE).manifest))
    assert taken < model.stat().st_size / 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("size", [1, 64, 65, 2**16])
def test_weights_that_are_no_numbers_are_refused(bundle: Path, value: float, size: int) -> None:
    raw = struct.pack("<f", 1.0) * (size - 1) + struct.pack("<f", value)
    content = with_more((bundle / INT8_FILE).read_bytes(), tensor(b"scale", [size], raw))
    with pytest.raises(BundleError, match="the weights 'scale' are not finite numbers"):
        check_graph(content, expected_of(open_bundle(bundle).manifest))


@pytest.mark.parametrize(
    ("axis", "found"), [(0, (1, 12)), (1, (2, 6)), (2, (6, 2)), (3, (12, 1)), (4, None), (-1, None)]
)
def test_flatten_is_followed_by_its_axis(axis: int, found: tuple[int, int] | None) -> None:
    flattened = Node("Flatten", "", "", ["x"], ["y"], {"axis": axis})
    facts: Facts = [Fact(INT64, (2, 3, Growing(2, 1)))]
    if found is None:
        with pytest.raises(ValueError, match="its axis is none"):
            flatten(flattened, facts)
    else:
        ((fact,), products) = flatten(flattened, facts)
        assert (fact.dims, products) == (found, 0)
        assert grows(*fact.dims), "what hangs on the text's length still does"


def test_normalization_with_a_bias_without_a_name_is_refused(bundle: Path) -> None:
    # onnxruntime 1.21 to 1.32 end the process when they fuse it with the sum before it.
    onnx = pytest.importorskip("onnx", reason="onnx comes with the export extra")
    opened = open_bundle(bundle)
    model = onnx.load(opened.model_path)
    node = next(node for node in model.graph.node if node.op_type == "LayerNormalization")
    node.input[2] = ""
    expected = expected_of(opened.manifest, pinned=False)
    with pytest.raises(BundleError, match="an input of it has no name"):
        check_graph(model.SerializeToString(), expected)
