"""Traces a PyTorch classifier into an fp32 ONNX graph, with optimum."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mixkd.errors import ModelError, first_line
from mixkd.runtime.session import load_onnxruntime

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPSET = 18
"""The newest version that optimum chooses by itself; onnxruntime 1.21 reads up to 22."""

IR_VERSION = 9
"""The newest version that onnxruntime 1.21 is sure to read."""

_TRACE = {"batch_size": 2, "sequence_length": 8}  # a size of 1 would become a constant of the graph


def convert(model: "PreTrainedModel") -> onnx.ModelProto:
    """Trace a classifier into an fp32 graph for any batch and any length.

    Returns:
        The graph; input names are the model's own, the only output is ``logits``, (B, C).

    Raises:
        ModelError: If optimum can't export this architecture.
    """
    load_onnxruntime()  # before optimum does, with its telemetry
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    kind = model.config.model_type
    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.onnx"
        try:
            constructor = TasksManager.get_exporter_config_constructor(
                "onnx", model=model, task="text-classification", library_name="transformers"
            )
            export(model, constructor(model.config), file, opset=OPSET, input_shapes=dict(_TRACE))
        except (KeyError, ValueError) as error:
            raise ModelError(f"optimum can't export a {kind} classifier: {first_line(error)}") from error
        graph = onnx.load(file)
    graph.ir_version = min(graph.ir_version, IR_VERSION)
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    # The tracer warns at every Python branch on a shape, and optimum logs at every step.
    loggers = [logging.getLogger(name) for name in ("optimum", "transformers", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
