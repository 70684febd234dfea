"""The only place that makes an onnxruntime session, and the graph is checked before each."""

import ctypes
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakSet

from mixkd.errors import BundleError
from mixkd.runtime.bundle import Bundle, Precision
from mixkd.runtime.threads import available_threads
from mixkd.runtime.trust import check_graph, shown_name

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_FATAL_ONLY = 4
_with_threads: "WeakSet[InferenceSession]" = WeakSet()


def open_session(
    model: Path | bytes,
    *,
    threads: int | None = None,
    arena: bool = False,
    spinning: bool = False,
    map_weights: bool = False,
    precision: Precision | None = None,
) -> "InferenceSession":
    """Check an ONNX graph and open it on the CPU; nothing else in mixkd makes a session.

    The defaults suit a guest in somebody else's process: memory goes back after a call, and threads sleep
    while there is nothing to do.

    Args:
        model: The file, or its content.
        threads: Threads per call; None takes the processors this process may use.
        arena: Keep the memory of the largest call so far, for the next one. Faster on large batches.
        spinning: Let idle threads burn processor time for a moment, to start sooner on the next call.
        map_weights: Read the weights from the mapped file where they are needed instead of copying them.
        precision: The number format that the graph must have; None takes any.

    Raises:
        BundleError: If the graph may do more than compute, has another number format, or can't be loaded.
    """
    check_graph(model, precision=precision)
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_threads()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = arena
    options.log_severity_level = _FATAL_ONLY  # errors are raised; stderr belongs to the app
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    source = model if isinstance(model, bytes) else str(model)
    if map_weights and isinstance(model, Path):
        from mixkd.runtime.weights import without_weights

        source = without_weights(model)
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(model.parent)
        )
    try:
        session: InferenceSession = onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions share no base
        raise BundleError(f"{shown_name(model)} can't be loaded by onnxruntime: {error}") from error
    if options.intra_op_num_threads > 1:
        _with_threads.add(session)
    return session


def open_bundle_session(
    bundle: Bundle, *, threads: int, arena: bool, spinning: bool, map_weights: bool
) -> "InferenceSession":
    """Open the file that answers for a bundle, and check that it is what the manifest says.

    Raises:
        BundleError: If it isn't, or can't be opened.
    """
    model, manifest = bundle.model_path, bundle.manifest
    session = open_session(
        model,
        threads=threads,
        arena=arena,
        spinning=spinning,
        map_weights=map_weights,
        precision=manifest.precision,
    )
    inputs = {entry.name for entry in session.get_inputs()}
    if inputs != set(manifest.inputs):
        raise BundleError(f"{model} takes {sorted(inputs)}, the manifest says {sorted(manifest.inputs)}")
    outputs = {entry.name: (entry.type, *entry.shape[1:]) for entry in session.get_outputs()}
    if outputs.get(manifest.scores) != ("tensor(float)", len(manifest.labels)):
        raise BundleError(
            f"{model} gives {outputs}, not {manifest.scores} for {len(manifest.labels)} labels: "
            "export the bundle again"
        )
    return session


def load_onnxruntime() -> ModuleType:
    """Import onnxruntime without its telemetry, which is on by default from 1.29 on.

    An app that wants it sets `ORT_DISABLE_TELEMETRY` itself, or imports onnxruntime first.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]  # the package has no type information


def _keep_sessions_of_parent() -> None:
    # A session's threads don't follow it into a forked child, and its destructor would wait for them for
    # ever or crash. One more reference keeps the destructor from running, even when the child exits.
    for session in _with_threads:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_sessions_of_parent)
