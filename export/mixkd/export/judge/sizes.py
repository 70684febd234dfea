"""The bytes of a graph's weights, by part."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import onnx

from mixkd.export.graph.graph import Graph, copy_of

_HEAD = {"pooler", "pre_classifier", "head", "classifier"}
# Names of the layers after the pooling in the encoders of transformers.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of the weights, by part.

    Attributes:
        embeddings_bytes: Embedding tables and their scales.
        encoder_bytes: The layers between embeddings and pooling.
        head_bytes: The linear layers after the pooling.
    """

    embeddings_bytes: int
    encoder_bytes: int
    head_bytes: int

    @property
    def total_bytes(self) -> int:
        """All weights; the file is slightly larger."""
        return self.embeddings_bytes + self.encoder_bytes + self.head_bytes

    def as_json(self) -> Mapping[str, int]:
        """Return the parts and their sum."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def measure_sizes(model: onnx.ModelProto) -> Sizes:
    """Split the weights of a graph by what reads them."""
    graph = Graph(copy_of(model))
    parts = dict.fromkeys(("embeddings", "encoder", "head"), 0)
    for name, tensor in graph.initializers.items():
        readers = [node for node, _ in graph.readers[name]]
        scopes = {scope for n in (name, *(node.name for node in readers)) for scope in re.split(r"[/.]", n)}
        looked_up = {node.op_type for node in readers} <= {"Gather", "Slice"}
        table = looked_up or "embeddings" in scopes
        part = "head" if scopes & _HEAD else "embeddings" if table else "encoder"
        parts[part] += onnx.numpy_helper.to_array(tensor).nbytes
    return Sizes(**{f"{part}_bytes": size for part, size in parts.items()})
