"""The range of every activation that a product reads, seen on the user's own texts."""

from collections.abc import Sequence
from pathlib import Path

import onnx

from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.int8.quantize import Ranges
from mixkd.export.sessions import session_of
from mixkd.runtime.encoding import Encoder, Text


def measure_ranges(
    model: onnx.ModelProto, texts: Sequence[Text], *, tokenizer: Path, max_length: int
) -> Ranges:
    """Run a graph on texts and return the least and the largest number of each input of a constant product.

    Args:
        model: The fp32 graph.
        texts: The texts, answered one by one.
        tokenizer: The folder with the tokenizer.
        max_length: Tokens per text.
    """
    graph = Graph(copy_of(model))
    products = [
        n for n in graph.nodes if n.op_type in {"MatMul", "Gemm"} and n.input[1] in graph.initializers
    ]
    names = list(dict.fromkeys(node.input[0] for node in products))
    graph.model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = session_of(graph.model)
    encoder = Encoder.from_folder(
        tokenizer, max_length=max_length, inputs=[value.name for value in session.get_inputs()]
    )
    least, largest = dict.fromkeys(names, float("inf")), dict.fromkeys(names, float("-inf"))
    for tokens in encoder.encode(texts):
        for name, values in zip(names, session.run(names, encoder.feed([tokens])), strict=True):
            least[name] = min(least[name], float(values.min()))
            largest[name] = max(largest[name], float(values.max()))
    return {name: (least[name], largest[name]) for name in names}
