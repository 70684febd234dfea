"""Turns a student into a bundle: ONNX, exact graph rewrites, int8, measured quality.

>>> from mixkd.export import export
>>> result = export("student", "bundle", data="clinc150")
"""

from typing import TYPE_CHECKING

from mixkd.export.config import ExportConfig, Exporter, Recipe, TableFormat, VocabularyChoice

if TYPE_CHECKING:
    from mixkd.export.stage import ExportResult, export

__all__ = ["ExportConfig", "ExportResult", "Exporter", "Recipe", "TableFormat", "VocabularyChoice", "export"]


def __getattr__(name: str) -> object:
    # Loaded when first asked for: `mkd --help` imports this package, and must not wait for torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mixkd.extras import require

    require("torch", "transformers", "onnx", extra="export")
    from mixkd.export import stage

    return getattr(stage, name)
