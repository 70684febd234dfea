"""What a graph must be before onnxruntime sees it: computing alone, of known operators, within bounds."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from mixkd.errors import BundleError
from mixkd.runtime.files import OpenFile
from mixkd.runtime.graph.model import FLOAT, KIND_NAMES, Graph
from mixkd.runtime.graph.reading import read_model
from mixkd.runtime.graph.running import OWN_DOMAIN, check_operators, run_shapes
from mixkd.runtime.graph.wire import Source
from mixkd.runtime.manifest import Manifest, Precision

Model: TypeAlias = Path | bytes | OpenFile
"""An ONNX file: where it stands, its content, or the file itself, opened."""

OPSETS = {"": range(17, 23), "ai.onnx": range(17, 23), OWN_DOMAIN: range(1, 2)}
"""The versions of the operators whose shapes are known here; mixkd exports 18 and 20."""

IR_VERSIONS = range(8, 12)
_MOST_CHECKED = 2**16
INTEGER_PRODUCTS = frozenset({"MatMulInteger", "QuantizeLinear"})
"""A graph with one of these multiplies int8 numbers (QuantizeLinear: in the form with Q and DQ nodes)."""


class Expected(NamedTuple):
    """What a graph that somebody else may have made must be.

    Attributes:
        max_length: Tokens of the longest text: what one may take is bounded.
        output: The output that is read.
        width: Its columns, C.
        inputs: The names of its inputs; None takes any.
        precision: Its number format; None takes any.
        pinned: Whether it belongs to a bundle that a sha256 or a key tells from any other's.
    """

    max_length: int
    output: str
    width: int
    inputs: tuple[str, ...] | None = None
    precision: Precision | None = None
    pinned: bool = False


def expected_of(manifest: Manifest, *, pinned: bool = False) -> Expected:
    """Return what the graph of a bundle must be; `pinned` as in `Expected`."""
    return Expected(
        max_length=manifest.max_length,
        output=manifest.scores,
        width=len(manifest.labels),
        inputs=manifest.inputs,
        precision=manifest.precision,
        pinned=pinned,
    )


def check_graph(model: Model, expected: Expected | None = None) -> None:
    """Refuse an ONNX graph that could do more than compute, or that holds what no export of mixkd does.

    onnxruntime refuses much of this too, but its older releases follow external data to any path and to any
    address of the process's memory, and die of some graphs.

    Args:
        model: The ONNX file.
        expected: What it must be; None for a graph that mixkd has just made itself, which isn't bounded.

    Raises:
        BundleError: If the graph isn't well-formed, holds what no export of mixkd writes, may take too much,
            or isn't what is expected.
    """
    if isinstance(model, Path):
        with OpenFile(model) as file:
            return check_graph(file, expected)
    with naming(model):
        source = _source(model)
        graph = _known(read_model(source))
        if expected is not None:
            check_expected(graph, expected)
            check_numbers(graph, source)
    return None


def check_numbers(graph: Graph, source: Source) -> None:
    """Refuse weights that are no finite numbers; large tables are left unread, for that would take time.

    What a large table holds shows in an answer, which must be finite too.

    Raises:
        ValueError: If there is one.
    """
    for name, tensor in graph.tensors.items():
        if tensor.kind != FLOAT or tensor.count > _MOST_CHECKED:
            continue
        raw = tensor.small is None
        numbers = np.frombuffer(source.read(*tensor.span), "<f4") if raw else np.array(tensor.small)
        if not np.isfinite(numbers).all():
            raise ValueError(f"the weights {name!r} are not finite numbers")


def check_expected(graph: Graph, expected: Expected) -> None:
    """Refuse a graph that isn't what is expected, or whose memory and time aren't bounded.

    Raises:
        ValueError: If it isn't.
    """
    found = Precision.INT8 if operators(graph) & INTEGER_PRODUCTS else Precision.FP32
    if expected.precision not in {None, found}:
        raise ValueError(f"it is {found}, the manifest says {expected.precision}")
    if expected.inputs is not None and set(graph.inputs) != set(expected.inputs):
        raise ValueError(f"it takes {sorted(graph.inputs)}, the manifest says {sorted(expected.inputs)}")
    answer = run_shapes(graph, max_length=expected.max_length).get(expected.output)
    if answer is None or answer.kind != FLOAT or answer.dims != (1, expected.width):
        given = "no" if answer is None else f"{KIND_NAMES[answer.kind]} {answer.dims} as"
        raise ValueError(f"it gives {given} {expected.output}, the manifest has {expected.width} labels")


def read(model: Model) -> Graph:
    """Return a graph of known operators.

    Raises:
        ValueError: If it holds what no export of mixkd writes.
    """
    if isinstance(model, Path):
        with OpenFile(model) as file:
            return read(file)
    return _known(read_model(_source(model)))


def _source(model: bytes | OpenFile) -> Source:
    return Source(model) if isinstance(model, bytes) else Source(descriptor=model.fileno(), size=model.size)


def _known(graph: Graph) -> Graph:
    if graph.ir_version not in IR_VERSIONS:
        raise ValueError(f"it is written in ONNX's format {graph.ir_version}")
    for domain, version in graph.opsets.items():
        if version not in OPSETS.get(domain, ()):
            raise ValueError(f"it uses the operators {domain or 'ai.onnx'} of version {version}")
    check_operators(graph)
    return graph


def operators(graph: Graph) -> set[str]:
    """Return the names of all its operators."""
    return {node.op for node in graph.all_nodes()}


@contextmanager
def naming(model: Model) -> Iterator[None]:
    """Turn what is wrong with a graph into an error that names it.

    Raises:
        BundleError: In place of whatever reading the graph raised.
    """
    try:
        yield
    except (ValueError, IndexError, OverflowError, RecursionError, struct.error, OSError) as error:
        raise BundleError(
            f"{shown_name(model)} can't be trusted ({error}): export the bundle again"
        ) from error


def shown_name(model: Model) -> str:
    """Return what an error calls the graph."""
    return "the graph" if isinstance(model, bytes) else str(getattr(model, "path", model))
