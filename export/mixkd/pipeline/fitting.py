"""The best shape within a latency, without a training: `mkd distill --max-latency-ms`.

Latency grows with the work of a text, so the largest shape within the limit is found by halving the list of
shapes, with five or six measurements. Of those with no more work the one is taken that promises the most::

    promise = layers * (share of the neurons) ** (1/4)

which ranks the shapes that were measured on clinc150 as their accuracy does: half of the neurons are worth a
sixth of the layers.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from mixkd.bench.targets.base import LocalTarget
from mixkd.compress.checkpoints import load_classifier
from mixkd.compress.config import DistillConfig
from mixkd.compress.families import family_of
from mixkd.compress.fitting import FittingShape
from mixkd.compress.locate import find_model
from mixkd.compress.shape import StudentKind
from mixkd.compress.student import layer_count
from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError, ModelError
from mixkd.export.config import Recipe, VocabularyChoice
from mixkd.pipeline.search_grid import Candidate, Shape
from mixkd.pipeline.search_measuring import Measuring
from mixkd.progress import Progress

_SHARES = (1.0, 0.5, 0.25)
_DEPTHS = (1.0, 2 / 3, 1 / 2, 1 / 3, 1 / 6)


def choose_shape(
    teacher: str, corpus: Corpus, config: DistillConfig, *, scratch: Path, progress: Progress
) -> FittingShape:
    """Choose a shape; see `mixkd.compress.fitting.ShapeChooser`."""
    limit = config.max_latency_ms
    assert limit is not None, "asked for a latency"
    model = load_classifier(find_model(teacher))
    scratch.mkdir(exist_ok=True)
    try:
        timer = Timer(Measuring(teacher, corpus, config, LocalTarget(), progress), scratch)
        shape = largest_promise(shapes_of(model), timer, limit, model)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    measured = f"{timer.p50_ms(shape):.3g} ms a text on this machine, the limit is {limit:g}"
    tried = f"{len(timer.times)} shapes were measured, untrained"
    return FittingShape(
        kind=shape.kind, layers=shape.layers, ffn=shape.ffn, why=f"{shape.name}: {measured} ({tried})"
    )


def shapes_of(teacher: PreTrainedModel) -> list[Shape]:
    """Return the transformers that a teacher allows, by their work, the smallest first."""
    total, family = layer_count(teacher), family_of(teacher)
    depths = sorted({max(1, round(part * total)) for part in _DEPTHS} | {1})
    widths: list[int | None] = [None]
    if family is not None:
        whole = getattr(teacher.config, family.width)
        widths += [max(1, round(share * whole)) for share in _SHARES[1:]]
    shapes = [Shape.of_layers(depth, ffn=width) for depth in depths for width in widths]
    return sorted(shapes, key=lambda shape: _work(shape, teacher))


def promise(shape: Shape, teacher: PreTrainedModel) -> float:
    """Return a number by which shapes are ranked; more is better."""
    family = family_of(teacher)
    if shape.layers is None:
        return 0.0
    share = 1.0 if shape.ffn is None or family is None else shape.ffn / getattr(teacher.config, family.width)
    return float(shape.layers * share**0.25)


def _work(shape: Shape, teacher: PreTrainedModel) -> float:
    """Return the products of a token in all layers, up to a factor: attention has 4 H, the rest 2 F."""
    family = family_of(teacher)
    whole = 4 * teacher.config.hidden_size if family is None else getattr(teacher.config, family.width)
    return float((shape.layers or 0) * (4 * teacher.config.hidden_size + 2 * (shape.ffn or whole)))


class Timer:
    """Measures shapes, each once."""

    def __init__(self, measuring: Measuring, scratch: Path) -> None:
        self._measuring, self._scratch = measuring, scratch
        self.times: dict[Shape, float] = {}

    def p50_ms(self, shape: Shape) -> float:
        """Return the median latency of an untrained student.

        Raises:
            ModelError: If it can't be made or measured.
        """
        if shape not in self.times:
            candidate = Candidate(shape, Recipe.PORTABLE, VocabularyChoice())
            (probe,) = self._measuring.probe([candidate], self._scratch)
            if probe.p50_ms is None:
                raise ModelError(f"{shape.name} can't be measured: {probe.failure}")
            self.times[shape] = probe.p50_ms
        return self.times[shape]


def largest_promise(
    shapes: Sequence[Shape], timer: Timer, limit_ms: float, teacher: PreTrainedModel
) -> Shape:
    """Return the shape with the largest promise within the limit.

    Raises:
        ConfigError: If not even a bag is within it.
    """
    low, high = 0, len(shapes)  # those below `low` fit, those from `high` on don't
    while low < high:
        middle = (low + high) // 2
        if timer.p50_ms(shapes[middle]) <= limit_ms:
            low = middle + 1
        else:
            high = middle
    ranked = sorted(shapes[:low], key=lambda shape: -promise(shape, teacher))
    ranked.append(Shape(name="bag", kind=StudentKind.BAG))
    for shape in ranked:
        if timer.p50_ms(shape) <= limit_ms:
            return shape
    raise ConfigError(
        f"--max-latency-ms {limit_ms:g} is too little for this machine: a bag, the fastest student, takes "
        f"{timer.p50_ms(ranked[-1]):.3g} ms a text"
    )
