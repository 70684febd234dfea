"""A student's shape that a latency decides: `mkd distill --max-latency-ms`.

Latency is that of the exported student, which a later stage measures: it is asked through a plugin.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from mixkd.compress.config import DistillConfig
from mixkd.compress.shape import StudentKind
from mixkd.corpus.corpus import Corpus
from mixkd.extras import plugin
from mixkd.outputs import whole_file
from mixkd.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class FittingShape:
    """A shape within the latency.

    Attributes:
        kind: The kind of student.
        layers: The teacher's layers that it keeps; None for a bag.
        ffn: Neurons that each layer keeps; None keeps all.
        why: What was measured, in one sentence.
    """

    kind: StudentKind
    layers: int | None
    ffn: int | None
    why: str

    def fit(self, config: DistillConfig) -> DistillConfig:
        """Return the options with this shape instead of the latency."""
        return replace(
            config,
            max_latency_ms=None,
            student_kind=self.kind,
            student_layers=self.layers,
            student_ffn=self.ffn,
        )


class ShapeChooser(Protocol):
    """Chooses a shape; a later stage provides it as the plugin ``student-shape``."""

    def __call__(
        self, teacher: str, corpus: Corpus, config: DistillConfig, *, scratch: Path, progress: Progress
    ) -> FittingShape:
        """Return the shape that promises the most of those within `config.max_latency_ms` on this machine.

        Args:
            teacher: The teacher's folder or name on the hub.
            corpus: Its texts are timed.
            config: The options.
            scratch: A folder for exported files.
            progress: Called with each step.

        Raises:
            ConfigError: If none is within it.
        """


def fitting_shape(
    teacher: str, corpus: Corpus, config: DistillConfig, *, work: Path, progress: Progress
) -> FittingShape:
    """Return the shape that is within the latency; an interrupted run's is kept.

    Args:
        teacher: The teacher's folder or name on the hub.
        corpus: The data.
        config: The options.
        work: The run's folder.
        progress: Called with each step.

    Raises:
        ConfigError: If none is within it.
        MissingExtraError: If the stage that measures isn't installed.
    """
    file = work / "shape.json"
    asked = {"teacher": teacher, "max_latency_ms": config.max_latency_ms}
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if {name: kept.pop(name) for name in asked} == asked:
            return FittingShape(**{**kept, "kind": StudentKind(kept["kind"])})
    choose: ShapeChooser = plugin("student-shape", extra="export")
    chosen = choose(teacher, corpus, config, scratch=work / "shapes", progress=progress)
    with whole_file(file) as written:
        written.write(json.dumps({**asked, **asdict(chosen)}) + "\n")
    return chosen
