"""An onnxruntime session of a graph that stands in memory."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mixkd.runtime.session import make_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def session_of(
    model: onnx.ModelProto, *, threads: int | None = None, arena: bool = False
) -> "InferenceSession":
    """Open a session of a graph, made as the runtime makes its own."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.onnx"
        onnx.save(model, file)
        return make_session(file, threads=threads, arena=arena)
