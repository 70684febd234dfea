"""The one place that makes an onnxruntime session: every answer and every number comes from here."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def make_session(model: Path, *, threads: int | None = None) -> "InferenceSession":
    """Open an ONNX file on the CPU.

    Args:
        model: The file.
        threads: Threads per call; None takes the processors this process may use.
    """
    # onnxruntime reports telemetry by default from 1.29 on; the host app may decide otherwise beforehand.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def available_threads() -> int:
    """Return the processors this process may use: its affinity."""
    return len(os.sched_getaffinity(0))
