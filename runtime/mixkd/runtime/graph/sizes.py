"""The bytes of a graph's weights, by part and by number format."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from mixkd.runtime.graph.model import KIND_NAMES, Graph, Node, Tensor

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


def measure_sizes(graph: Graph) -> Sizes:
    """Split the weights of a graph by what reads them."""
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    parts = dict.fromkeys(("embeddings", "encoder", "head"), 0)
    for name, tensor in _weights(graph):
        scopes = {scope for n in (name, *(r.name for r in readers[name])) for scope in re.split(r"[/.]", n)}
        looked_up = {node.op for node in readers[name]} <= {"Gather", "Slice"}
        table = looked_up or "embeddings" in scopes
        part = "head" if scopes & _HEAD else "embeddings" if table else "encoder"
        parts[part] += tensor.size_bytes
    return Sizes(**{f"{part}_bytes": size for part, size in parts.items()})


def bytes_by_format(graph: Graph) -> Counter[str]:
    """Return how many bytes of weights have each number format."""
    found: Counter[str] = Counter()
    for _, tensor in _weights(graph):
        found[KIND_NAMES[tensor.kind]] += tensor.size_bytes
    return found


def _weights(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    yield from graph.tensors.items()
    for node in graph.nodes:
        value = node.attributes.get("value")
        if node.op == "Constant" and isinstance(value, Tensor):
            yield node.outputs[0], value
