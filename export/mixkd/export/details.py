"""What `export.json` holds, field by field."""

from collections.abc import Mapping
from dataclasses import dataclass

from mixkd.export.account import Account
from mixkd.export.graph.rewrite import RewriteReport
from mixkd.export.int8.budget import Trial
from mixkd.export.judge.flips import LabelChanges
from mixkd.export.judge.judge import ExportQuality
from mixkd.export.judge.processors import OtherProcessor
from mixkd.export.narrowed import Narrowed, narrowed_parts
from mixkd.export.vocabulary import TrimReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The content of `export.json`: how the graph was made, what was tried and what was measured.

    Attributes:
        narrowed: What was removed from the teacher's layers; null for whole layers.
        rewrites: What the rewrites did to the traced graph.
        sizes: Bytes of the weights of the graph that answers, by part.
        int8_products: The matrix products that are int8, by node name.
        int8_tables: The embedding tables that are integers, by name.
        kept_fp32: The products that stay in fp32 because they are sensitive.
        trials: The candidates that were measured; empty where there was no choice.
        quality: Measured on the data; null without data.
        int8_against_fp32: What int8 changed; null without data, without int8, or for several labels per text.
        processors: How other processors answer; empty where none was asked for.
        vocabulary: What the smaller vocabulary costs; null for the full one.
        notes: Warnings that the user saw.
    """

    narrowed: Narrowed | None
    rewrites: RewriteReport
    sizes: Mapping[str, int]
    int8_products: tuple[str, ...]
    int8_tables: tuple[str, ...]
    kept_fp32: tuple[str, ...]
    trials: tuple[Trial, ...]
    quality: ExportQuality | None
    int8_against_fp32: LabelChanges | None
    processors: tuple[OtherProcessor, ...]
    vocabulary: TrimReport | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, account: Account) -> "Details":
        """Return the details of an export."""
        choice = account.choice
        return cls(
            narrowed=narrowed_parts(account.student.model),
            rewrites=account.rewrites,
            sizes=account.sizes.as_json(),
            int8_products=choice.quantized.products if choice else (),
            int8_tables=choice.quantized.tables if choice else (),
            kept_fp32=choice.kept if choice else (),
            trials=choice.trials if choice else (),
            quality=account.quality,
            int8_against_fp32=account.comparison,
            processors=account.processors,
            vocabulary=account.trim,
            notes=account.notes,
        )
