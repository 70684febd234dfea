"""Where the bytes of a graph are."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import onnx

from .graph import Graph, copy_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the weights, by part.

    Attributes:
        embeddings_bytes: Tables that are looked up, with their scales.
        encoder_bytes: Everything between the tables and the pooling.
        head_bytes: Linear layers after the pooling.
    """

    embeddings_bytes: int
    encoder_bytes: int
    head_bytes: int

    @property
    def total_bytes(self) -> int:
        """All weights; the file is a little larger."""
        return self.embeddings_bytes + self.encoder_bytes + self.head_bytes

    def as_json(self) -> Mapping[str, int]:
        """Return the parts and their sum."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def measure_sizes(model: onnx.ModelProto) -> Sizes:
    """Split the weights of a graph by what reads them."""
    graph = Graph(copy_of(model))
    parts = {"Gather": 0, "Gemm": 0, "": 0}
    for name, tensor in graph.initializers.items():
        ops = {node.op_type for node, _ in graph.readers[name]}
        part = next(iter(ops)) if len(ops) == 1 and ops <= set(parts) else ""
        parts[part] += onnx.numpy_helper.to_array(tensor).nbytes
    return Sizes(embeddings_bytes=parts["Gather"], encoder_bytes=parts[""], head_bytes=parts["Gemm"])
