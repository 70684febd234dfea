"""Student to bundle: ONNX, graph rewrites, int8 (optimum, onnx, onnxruntime).

`export_student` is the stage: it converts (`convert`), rewrites (`rewrite`), quantizes (`quantize`, within a
`budget`), measures (`verify`) and writes the folder (`files`).
"""

from typing import TYPE_CHECKING

from mixkd.export.config import ExportConfig, Recipe, TableFormat

if TYPE_CHECKING:
    from mixkd.export.stage import ExportResult, export_student

__all__ = ["ExportConfig", "ExportResult", "Recipe", "TableFormat", "export_student"]


def __getattr__(name: str) -> object:
    # Loaded when first asked for: `mkd --help` imports this package, and must not wait for torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mixkd.errors import MissingExtraError

    try:
        from mixkd.export import stage
    except ImportError as error:
        raise MissingExtraError(str(error.name), "export") from error
    return getattr(stage, name)
