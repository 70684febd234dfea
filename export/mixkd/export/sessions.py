"""An onnxruntime session of a graph that stands in memory."""

from typing import TYPE_CHECKING

import onnx

from mixkd.runtime.session import open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def session_of(
    model: onnx.ModelProto, *, threads: int | None = None, arena: bool = False
) -> "InferenceSession":
    """Check a graph and open it, as the runtime opens its own."""
    return open_session(model.SerializeToString(), threads=threads, arena=arena)
