"""Traces a PyTorch classifier into an fp32 ONNX graph, and checks the graph against PyTorch."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from mixkd.errors import ModelError, first_line
from mixkd.export.config import Exporter
from mixkd.export.graph.probes import largest_difference, probes
from mixkd.export.sessions import session_of
from mixkd.extras import require
from mixkd.runtime.session import load_onnxruntime

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPSET = 18
"""The newest version that optimum chooses by itself; onnxruntime 1.21 reads up to 22.

Opset 20 has Gelu as one node. onnxruntime makes that node of 18's five when it loads the graph: as fast.
"""

IR_VERSION = 9
"""The newest version that onnxruntime 1.21 is sure to read."""

WRONG = 1e-3
"""From this difference on, relative to the largest logit, a graph computes something else than PyTorch."""

_TRACED = (2, 8)  # batch and length; a size of 1 would become a constant of the graph


def convert(
    model: "PreTrainedModel",
    inputs: Sequence[str],
    *,
    max_length: int,
    exporter: Exporter = Exporter.AUTO,
) -> onnx.ModelProto:
    """Trace a classifier into an fp32 graph for any batch and any length.

    PyTorch's exporter is the older one, TorchScript: `torch.export` gives the same logits, but takes ten
    seconds instead of a fifth of one, needs onnxscript, and writes patterns that our rewrites don't know.

    Args:
        model: In evaluation mode.
        inputs: The names of the graph's inputs, as `input_names` returns them; one that the model doesn't use
            is left out. optimum chooses by itself.
        max_length: Tokens of the longest text that the graph is checked with.
        exporter: What traces.

    Returns:
        The graph; its only output is ``logits``, (B, C).

    Raises:
        ModelError: If this architecture can't be traced, or the graph doesn't answer as PyTorch does.
        MissingExtraError: If optimum is asked for and isn't installed.
    """
    check_exporter(exporter)
    by_optimum, kind = exporter is Exporter.OPTIMUM, model.config.model_type
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.onnx"
        try:
            with _quiet():
                _trace_by_optimum(model, file) if by_optimum else _trace_by_torch(model, inputs, file)
        except Exception as error:  # each architecture fails in its own way
            by = "optimum" if by_optimum else "torch"
            raise ModelError(f"{by} can't export a {kind} classifier: {first_line(error)}") from error
        graph = onnx.load(file)
    graph.ir_version = min(graph.ir_version, IR_VERSION)
    _check(graph, model, max_length=max_length)
    return graph


def check_exporter(exporter: Exporter) -> None:
    """Import what an exporter needs beyond the extra of this stage.

    Raises:
        MissingExtraError: If it isn't installed.
    """
    if exporter is Exporter.OPTIMUM:
        load_onnxruntime()  # before optimum does, with its telemetry
        require("optimum", "optimum.exporters.onnx.convert", extra="optimum")


def _trace_by_torch(model: "PreTrainedModel", inputs: Sequence[str], file: Path) -> None:
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in inputs} | {"logits": {0: "batch_size"}}
    with _taking(model, inputs):
        torch.onnx.export(
            model,
            tuple(torch.ones(_TRACED, dtype=torch.int64) for _ in inputs),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes=axes,
        )


@contextmanager
def _taking(model: "PreTrainedModel", inputs: Sequence[str]) -> Iterator[None]:
    # The tracer gives tensors by position, and the order of forward's parameters differs between encoders. A
    # module around the model would do, but for a prefix in the name of every weight.
    forward = model.forward
    model.forward = lambda *tensors: forward(**dict(zip(inputs, tensors, strict=True))).logits
    try:
        yield
    finally:
        del model.forward


def _trace_by_optimum(model: "PreTrainedModel", file: Path) -> None:
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model=model, task="text-classification", library_name="transformers"
    )
    shapes = dict(zip(("batch_size", "sequence_length"), _TRACED, strict=True))
    export(model, constructor(model.config), file, opset=OPSET, input_shapes=shapes)


def _check(graph: onnx.ModelProto, model: "PreTrainedModel", *, max_length: int) -> None:
    """Refuse a graph that keeps a size or a branch of the trace where PyTorch would compute it anew."""
    session = session_of(graph)
    for feed in probes(graph, max_length=max_length):
        with torch.inference_mode():
            logits = model(**{name: torch.from_numpy(array) for name, array in feed.items()}).logits
        expected: NDArray[np.float32] = logits.float().numpy()
        difference = largest_difference(expected, session.run(["logits"], feed)[0])
        if not difference <= WRONG:
            batch, length = feed["input_ids"].shape
            raise ModelError(
                f"the graph of this {model.config.model_type} classifier doesn't answer as PyTorch does "
                f"({batch} texts of {length} tokens: {difference:.2g} of the largest logit): "
                "try the other --exporter"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    # The tracer warns at every Python branch on a shape, which `_check` tries, torch says that this exporter
    # is the older one, and optimum logs at every step.
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
