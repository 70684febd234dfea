"""What an export made and measured, as its files describe it."""

from dataclasses import dataclass
from typing import Any

import onnx

from mixkd.export.graph.rewrite import RewriteReport
from mixkd.export.int8.budget import Choice
from mixkd.export.judge.flips import LabelChanges
from mixkd.export.judge.judge import ExportQuality
from mixkd.export.judge.processors import OtherProcessor
from mixkd.export.student import Student
from mixkd.export.vocabulary import TrimReport
from mixkd.runtime.graph.sizes import Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was made, and what was measured.

    Attributes:
        student: What was exported.
        fp32: The fp32 graph.
        rewrites: What the rewrites did to the traced graph.
        choice: The int8 graph and how it was chosen; None where nothing was quantized.
        sizes: Weights of the graph that answers, by part.
        quality: Measured on the data; None without data.
        comparison: What int8 changed; None without data, without int8, or for several labels per text.
        processors: How other processors answer; empty where none was asked for.
        trim: What the smaller vocabulary costs; None for the full one.
        data: Fingerprint of the texts that were used; None without data.
        notes: Warnings.
    """

    student: Student
    fp32: onnx.ModelProto
    rewrites: RewriteReport
    choice: Choice | None
    sizes: Sizes
    quality: ExportQuality | None
    comparison: LabelChanges | None
    trim: TrimReport | None
    processors: tuple[OtherProcessor, ...]
    data: dict[str, Any] | None
    notes: tuple[str, ...]

    @property
    def answering(self) -> onnx.ModelProto:
        """The graph that answers: int8 where there is one."""
        return self.choice.quantized.model if self.choice else self.fp32
