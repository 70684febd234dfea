"""The metadata of a bundle's card, in YAML, as the Hugging Face hub reads it."""

import re
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from mixkd.export.account import Account
from mixkd.export.config import ExportConfig
from mixkd.runtime.manifest import Manifest

_TASK = "text-classification"
_METRICS: dict[str, tuple[str, dict[str, str] | None]] = {
    "accuracy": ("accuracy", None),
    "micro_f1": ("f1", {"average": "micro"}),
    "pearson": ("pearsonr", None),
}
"""The hub's names of the headline metrics, and how they are computed."""


def card_metadata(manifest: Manifest, account: Account, config: ExportConfig, *, title: str) -> str:
    """Return the block between the two lines of hyphens; what isn't known is left out.

    Args:
        manifest: The bundle's.
        account: What was made and measured.
        config: Its licence and languages were given, or aren't known.
        title: The bundle's name.
    """
    lineage = account.student.lineage
    results = _results(manifest, account)
    data = ModelCardData(
        language=list(config.language) or None,
        license=config.license,
        library_name="mixkd",
        pipeline_tag=_TASK,
        base_model=lineage.base_model,
        datasets=list(lineage.datasets) or None,
        metrics=sorted({result.metric_type for result in results}) or None,
        tags=["mixkd", "onnx", str(manifest.precision), "distillation"],
        model_name=_known(title) if results else None,
        eval_results=results or None,
    )
    return data.to_yaml()


def _results(manifest: Manifest, account: Account) -> list[EvalResult]:
    quality = account.quality
    if quality is None or account.data is None:
        return []
    metric, how = _METRICS[quality.metric]
    name = str(account.data["name"])
    value = quality.fp32 if quality.int8 is None else quality.int8
    about: dict[str, Any] = {"metric_args": how} if how else {}
    return [
        EvalResult(
            task_type=_TASK,
            dataset_type=_known(name.partition(":")[0], re.ASCII),
            dataset_name=_known(name),
            dataset_split=quality.split,
            metric_type=metric,
            metric_name=f"{quality.metric.replace('_', ' ')}, {manifest.precision}, {quality.rows} texts",
            metric_value=round(value, 6),
            **about,
        )
    ]


def _known(name: str, flags: re.RegexFlag = re.NOFLAG) -> str:
    """Return a folder's name as one that the hub could give: letters, digits, dots and hyphens; no markup."""
    return re.sub(r"[^\w./-]+", "-", name, flags=flags).strip("-") or "unnamed"
