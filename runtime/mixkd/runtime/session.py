"""The only place that makes an onnxruntime session, and the graph is checked before each."""

import ctypes
import os
import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from mixkd.errors import BundleError, OldReleaseWarning, first_line
from mixkd.runtime.files import OpenFile
from mixkd.runtime.threads import available_threads
from mixkd.runtime.trust import Expected, Model, check_graph, shown_name

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

LOWEST_FOR_STRANGERS = (1, 30, 1)
"""The lowest release of onnxruntime without known memory errors
(https://github.com/microsoft/onnxruntime/releases/tag/v1.30.1). SECURITY.md names it too; a test compares."""

_FATAL_ONLY = 4
_with_threads: "WeakSet[InferenceSession]" = WeakSet()


def open_session(
    model: Model,
    *,
    threads: int | None = None,
    arena: bool = False,
    spinning: bool = False,
    map_weights: bool = False,
    expected: Expected | None = None,
) -> "InferenceSession":
    """Check an ONNX graph and open it on the CPU; nothing else in mixkd makes a session.

    The defaults suit a guest in somebody else's process: memory goes back after a call, and threads sleep
    while there is nothing to do.

    Args:
        model: The ONNX file.
        threads: Threads per call; None takes the processors this process may use.
        arena: Keep the memory of the largest call so far, for the next one. Faster on large batches.
        spinning: Let idle threads burn processor time for a moment, to start sooner on the next call.
        map_weights: Read the weights from the mapped file where they are needed instead of copying them.
        expected: What the graph must be; None for one that mixkd has just made itself.

    Raises:
        BundleError: If the graph may do more than compute, isn't what is expected, or can't be loaded.
    """
    if isinstance(model, Path):
        with OpenFile(model) as file:
            return open_session(
                file,
                threads=threads,
                arena=arena,
                spinning=spinning,
                map_weights=map_weights,
                expected=expected,
            )
    check_graph(model, expected)
    onnxruntime = load_onnxruntime()
    if expected is not None and not expected.pinned:
        _warn_of(onnxruntime.__version__)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_threads()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = arena
    options.log_severity_level = _FATAL_ONLY  # errors are raised; stderr belongs to the app
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    source = _source(model, options, map_weights=map_weights)
    try:
        session: InferenceSession = onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions share no base
        raise BundleError(
            f"{shown_name(model)} can't be loaded by onnxruntime: {first_line(error)}"
        ) from error
    if isinstance(model, OpenFile) and not (
        model.is_unchanged() and (model.stands_at_its_path() or not map_weights)
    ):
        raise model.changed()
    if options.intra_op_num_threads > 1:
        _with_threads.add(session)
    return session


def _source(model: bytes | OpenFile, options: Any, *, map_weights: bool) -> bytes | str:
    """Return what onnxruntime loads: just the file that was opened, whatever stands at its path by now."""
    if isinstance(model, bytes):
        return model
    if not map_weights:
        return model.for_native_code() or model.read()
    from mixkd.runtime.weights import without_weights

    folder = str(model.path.parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    return without_weights(model)


def load_onnxruntime() -> ModuleType:
    """Import onnxruntime without its telemetry, which is on by default from 1.29 on.

    An app that wants it sets `ORT_DISABLE_TELEMETRY` itself, or imports onnxruntime first.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]  # the package has no type information


def old_release(version: str) -> str | None:
    """Return what to say of a release of onnxruntime with known memory errors; None of any other.

    The check of graphs stands before it, but what passes is run by that code.

    Args:
        version: onnxruntime's, such as ``1.21.1``; a device may have made it up.
    """
    found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", version, re.ASCII)
    if found is None or tuple(int(part or 0) for part in found.groups()) >= LOWEST_FOR_STRANGERS:
        return None
    lowest = ".".join(map(str, LOWEST_FOR_STRANGERS))
    return (
        f"onnxruntime {version} has known memory errors: for bundles from strangers install {lowest} or newer"
    )


def _warn_of(version: str) -> None:
    if words := old_release(version):
        own = "where this bundle is your own, say so with its sha256 or key (expect_sha256, verify_key)"
        warnings.warn(f"{words}; {own}", OldReleaseWarning, stacklevel=2)


def _keep_sessions_of_parent() -> None:
    # A session's threads don't follow it into a forked child, and its destructor would wait for them for
    # ever or crash. One more reference keeps the destructor from running, even when the child exits.
    for session in _with_threads:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_sessions_of_parent)
