"""A Hugging Face folder to an fp32 ONNX graph, through optimum."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mixkd.errors import ModelError
from mixkd.runtime.session import load_onnxruntime

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPSET = 18
"""The newest that optimum asks for by itself; onnxruntime 1.21 reads up to 22."""

IR_VERSION = 9
"""The newest that onnxruntime 1.21 is sure to read."""

_TRACE = {"batch_size": 2, "sequence_length": 8}  # one of either would be baked into the graph


def load_classifier(folder: Path, *, attention: str) -> "PreTrainedModel":
    """Load a fine-tuned classifier in fp32 and eval mode.

    Args:
        folder: A Hugging Face folder.
        attention: The implementation of attention: ``eager`` to trace, ``sdpa`` to run.

    Raises:
        ModelError: If the folder isn't there, can't be loaded, or holds no trained classification head.
    """
    from transformers import AutoModelForSequenceClassification

    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a model folder (no config.json): name what mkd distill wrote")
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation=attention, output_loading_info=True, local_files_only=True
        )
    except ValueError as error:
        if attention != "eager" and "attention" in str(error).lower():
            return load_classifier(folder, attention="eager")
        raise ModelError(f"{folder} can't be loaded as a classifier: {_first_line(error)}") from error
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{folder} can't be loaded: {_first_line(error)}") from error
    if report["missing_keys"]:
        raise ModelError(
            f"{folder} has no trained classification head ({min(report['missing_keys'])} is missing): "
            "fine-tune it first with mkd finetune"
        )
    return model.float().eval()  # type: ignore[no-any-return]  # from_pretrained is not typed


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
            raise ModelError(f"optimum can't export a {kind} classifier: {_first_line(error)}") from error
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


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
