"""The bundle's README.md: what is inside, what was measured, how to load it."""

from pathlib import Path

from mixkd.bench.render.markdown import plain
from mixkd.export.account import Account
from mixkd.export.config import ExportConfig
from mixkd.export.graph.rewrite import RewriteReport
from mixkd.export.hub_card import card_metadata
from mixkd.export.judge.flips import LabelChanges
from mixkd.export.judge.judge import ExportQuality
from mixkd.export.judge.processors import OtherProcessor
from mixkd.export.narrowed import narrowed_parts
from mixkd.export.vocabulary import TrimReport
from mixkd.metrics import format_metric, format_rate
from mixkd.runtime.encoding import Text
from mixkd.runtime.manifest import CARD_FILE, Manifest

_TEMPLATE = """\
---
{metadata}
---

# {title}

A text classifier: {precision}, {labels} labels, at most {max_length} tokens per text. Made by `mkd export`.

## Measured

{quality}

| part of the weights | size |
|---|---|
| embeddings | {embeddings:.2f} MB |
| encoder | {encoder:.2f} MB |
| head | {head:.2f} MB |
| file `{model_file}` | {file:.2f} MB |

{graph}

{notes}{flips}## Use

```python
from mixkd.runtime import Classifier

classifier = Classifier.load("path/to/this/folder")
print(classifier.predict("some text"))
```

From the hub: `Classifier.from_hub("org/name")`, which needs `mixkd[hub]` and checks every hash.

optimum loads it, too: `ORTModelForSequenceClassification.from_pretrained(folder, subfolder="onnx", \
file_name="{file_name}")`. In other languages, read the graph's output `{scores}`, (B, {labels}).

`mkd.json` holds the size and sha256 of every file, and the sha256 of the student; `export.json` holds how the
graph was made and all that was measured.
"""


def write_card(
    folder: Path, manifest: Manifest, account: Account, config: ExportConfig, *, title: str
) -> None:
    """Write `README.md` into a bundle's folder, whose graph stands there already."""
    file = folder / manifest.model_file
    sizes, notes = account.sizes, account.notes
    narrowed = narrowed_parts(account.student.model)
    text = _TEMPLATE.format(
        metadata=card_metadata(manifest, account, config, title=title).strip(),
        title=plain(title),
        precision=f"{manifest.precision} (recipe `{manifest.recipe}`)",
        labels=len(manifest.labels),
        scores=manifest.scores,
        max_length=manifest.max_length,
        quality=_quality_table(account.quality) + _vocabulary(account.trim) + _processors(account.processors),
        embeddings=sizes.embeddings_bytes / 1e6,
        encoder=sizes.encoder_bytes / 1e6,
        head=sizes.head_bytes / 1e6,
        file=file.stat().st_size / 1e6,
        model_file=manifest.model_file,
        graph=_graph(account.rewrites) + (f" {narrowed.describe()}" if narrowed else ""),
        file_name=file.name,
        notes="".join(f"- {plain(note)}\n" for note in notes) + ("\n" if notes else ""),
        flips=_flips(account.comparison) if account.comparison else "",
    )
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def _graph(rewrites: RewriteReport) -> str:
    if not rewrites.exact:
        return "The graph is as traced, without rewrites."
    if not rewrites.attentions:
        return "The graph has no attention."
    return (
        f"{rewrites.fused_attentions} of {rewrites.attentions} attentions are fused into one node; "
        f"{rewrites.narrowed} nodes compute only the first position, the one that the classifier reads."
        if rewrites.narrowed
        else f"{rewrites.fused_attentions} of {rewrites.attentions} attentions are fused into one node."
    )


def _quality_table(quality: ExportQuality | None) -> str:
    if quality is None:
        return "Nothing was measured: the export was made without data."
    rows = [
        ("student in PyTorch", quality.student, None),
        ("fp32 graph", quality.fp32, quality.fp32_agreement),
        ("int8 graph", quality.int8, quality.int8_agreement),
    ]
    lines = [
        f"| {name} | {format_metric(quality.metric, value)} | {'' if same is None else format_rate(same)} |"
        for name, value, same in rows
        if value is not None
    ]
    head = f"On the {quality.rows} texts of the {quality.split} split:\n\n"
    columns = f"| | {quality.metric.replace('_', ' ')} | same answer as PyTorch |\n|---|---|---|\n"
    return head + columns + "\n".join(lines)


def _vocabulary(trim: TrimReport | None) -> str:
    if trim is None:
        return ""
    return f"\n\nThe embedding table has rows for {trim.kept} of {trim.size} pieces; {trim.describe()}."


def _processors(processors: tuple[OtherProcessor, ...]) -> str:
    if not processors:
        return ""
    rows = [f"| {p.name} | {format_rate(p.agreement)} | {p.largest_difference:.2g} |" for p in processors]
    head = f"\n\nOn other processors, emulated, {processors[0].texts} of these texts:\n\n"
    columns = "| | same answer as here | largest difference of a logit |\n|---|---|---|\n"
    return head + columns + "\n".join(rows)


def _flips(comparison: LabelChanges) -> str:
    worst = sorted(comparison.recall.items(), key=lambda item: item[1][1] - item[1][0])[:5]
    losers = (
        ", ".join(f"{plain(name)} {100 * b:.0f} % to {100 * a:.0f} %" for name, (b, a) in worst if a < b)
        or "none"
    )
    lines = [
        "## What int8 changed",
        "",
        f"{comparison.flipped} texts get another label than from the fp32 graph: {comparison.broken} were "
        f"right and are wrong now, {comparison.repaired} were wrong and are right now "
        f"(McNemar's test: p = {comparison.mcnemar_p:.2g}). "
        f"Calibration error {format_rate(comparison.fp32_ece)} before, "
        f"{format_rate(comparison.int8_ece)} after. "
        f"Labels with the largest loss of recall: {losers}.",
        "",
    ]
    if comparison.changes:
        lines += ["| true label | fp32 | int8 | texts |", "|---|---|---|---|"]
        lines += [_row(c.label or "", c.fp32, c.int8, str(c.texts)) for c in comparison.changes]
        lines.append("")
    if comparison.examples:
        lines += ["| text | true label | fp32 | int8 |", "|---|---|---|---|"]
        lines += [_row(_joined(e.text), e.label or "", e.fp32, e.int8) for e in comparison.examples]
        lines.append("")
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(plain, cells))} |"


def _joined(text: Text) -> str:
    return text if isinstance(text, str) else " / ".join(text)
