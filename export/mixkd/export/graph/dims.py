"""The dimensions of every tensor, measured by running the graph at three sizes.

Symbolic shape inference fails on some encoders. Three runs show which dimension depends on the batch size,
which on the text length, and which on neither.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import onnx

from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.sessions import session_of

PROBES = ((2, 5), (2, 7), (3, 5))
"""(batch, length) of the runs: the second run changes only the length, the third only the batch."""

Dim: TypeAlias = tuple[int, ...]
"""One dimension's size in each run; two dimensions with equal sizes in every run are treated as equal."""

Dims: TypeAlias = Mapping[str, tuple[Dim, ...]]
"""The dimensions of each tensor, by name, in order."""


def measure_dims(graph: Graph) -> Dims:
    """Run the graph at each size of `PROBES` and return the dimensions of every tensor in it."""
    probe = copy_of(graph.model)
    names = [name for node in probe.graph.node for name in node.output if name]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in graph.outputs)
    session = session_of(probe, threads=1)
    wanted = [output.name for output in session.get_outputs()]
    shapes: list[dict[str, tuple[int, ...]]] = []
    for batch, length in PROBES:
        feed = {value.name: np.ones((batch, length), np.int64) for value in probe.graph.input}
        found = session.run(wanted, feed)
        shapes.append({name: array.shape for name, array in zip(wanted, found, strict=True)})
        shapes[-1].update({name: array.shape for name, array in feed.items()})
        shapes[-1].update({name: tuple(tensor.dims) for name, tensor in graph.initializers.items()})
    first, *_ = shapes
    return {
        name: tuple(zip(*(shape[name] for shape in shapes), strict=True))
        for name in first
        if len({len(shape[name]) for shape in shapes}) == 1
    }


def is_static(dim: Dim) -> bool:
    """Return whether a dimension is the same at every size."""
    return len(set(dim)) == 1


def follows_length(dim: Dim) -> bool:
    """Return whether a dimension depends on the length of the text."""
    return dim[1] != dim[0]
