"""The ranges of the activations that the matrix products read, measured on the user's own texts."""

from collections.abc import Sequence
from pathlib import Path

import onnx

from mixkd.corpus.corpus import Corpus
from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.int8.quantize import Ranges
from mixkd.export.sessions import session_of
from mixkd.runtime.encoding import Encoder, Text

CALIBRATION_TEXTS = 300
"""Texts that the ranges are measured on, at least, where there are as many."""


def calibrated_ranges(
    model: onnx.ModelProto, corpus: Corpus | None, *, tokenizer: Path, max_length: int
) -> Ranges:
    """Return `measure_ranges` on evenly spaced training texts, or evaluation texts where there are none."""
    assert corpus is not None, "the config refuses a static recipe without texts"
    rows = list(corpus.read(corpus.first_split("train")))
    texts = [row.content for row in rows[:: max(1, len(rows) // CALIBRATION_TEXTS)]]
    return measure_ranges(model, texts, tokenizer=tokenizer, max_length=max_length)


def measure_ranges(
    model: onnx.ModelProto, texts: Sequence[Text], *, tokenizer: Path, max_length: int
) -> Ranges:
    """Run a graph on texts and return the range of each input of a matrix product with constant weights.

    Args:
        model: The fp32 graph.
        texts: The texts, run one by one.
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
