"""The bytes of a graph that stands in memory, by part."""

import onnx

from mixkd.runtime.graph.reading import read_model
from mixkd.runtime.graph.sizes import Sizes
from mixkd.runtime.graph.sizes import measure_sizes as measure
from mixkd.runtime.graph.wire import Source


def measure_sizes(model: onnx.ModelProto) -> Sizes:
    """Split the weights of a graph by what reads them."""
    return measure(read_model(Source(model.SerializeToString())))
