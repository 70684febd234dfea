"""Opens a graph in memory with onnxruntime."""

from typing import TYPE_CHECKING

import onnx

from mixkd.runtime.session import open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def session_of(
    model: onnx.ModelProto, *, threads: int | None = None, arena: bool = False
) -> "InferenceSession":
    """Check a graph and open it in the way the runtime opens a bundle's."""
    return open_session(model.SerializeToString(), threads=threads, arena=arena)
