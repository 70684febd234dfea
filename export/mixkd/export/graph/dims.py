"""The dimensions of every tensor, found by running the graph at a few sizes.

Symbolic shape inference gives up on some encoders; three runs tell exactly which dimension follows the batch,
which the length, and which neither.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import onnx

from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.sessions import session_of

PROBES = ((2, 5), (2, 7), (3, 5))
"""(batch, length) of the runs: the second differs in the length only, the third in the batch only."""

Dim: TypeAlias = tuple[int, ...]
"""One dimension's size in each run; dimensions that are equal in every run are taken as equal."""

Dims: TypeAlias = Mapping[str, tuple[Dim, ...]]
"""Per tensor, its dimensions in order."""


def measure_dims(graph: Graph) -> Dims:
    """Run the graph at each size of `PROBES` and return the dimensions of everything in it."""
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
    """Tell whether a dimension is the same at every size."""
    return len(set(dim)) == 1


def follows_length(dim: Dim) -> bool:
    """Tell whether a dimension grows with the length of the text."""
    return dim[1] != dim[0]
