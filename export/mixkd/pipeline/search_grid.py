"""The options of `mkd search`: its limits, and the grid of students that are tried."""

from dataclasses import dataclass, fields
from pathlib import Path

from mixkd.compress.config import DistillConfig
from mixkd.compress.inputs import DistillInputs
from mixkd.configs import read_config
from mixkd.errors import ConfigError
from mixkd.export.config import ExportConfig, Recipe, Rows, VocabularyChoice
from mixkd.options import Group, check_limits, option


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """The limits and the grid of a search."""

    max_latency_ms: float | None = option(
        None,
        "The largest median latency of a text, tokenization included, in milliseconds.",
        group=Group.SEARCH,
        otherwise="no limit",
        above=0,
    )
    max_size_mb: float | None = option(
        None,
        "The largest file of weights, in megabytes of 10^6 bytes.",
        group=Group.SEARCH,
        otherwise="no limit",
        above=0,
    )
    layers: tuple[int, ...] = option(
        (),
        "A number of the teacher's layers to keep; may be repeated.",
        group=Group.STUDENT,
        otherwise="each from 1 to half of the teacher's",
    )
    student: tuple[str, ...] = option(
        (), "Also start from this model: a folder or a hub name; may be repeated.", group=Group.STUDENT
    )
    recipe: tuple[Recipe, ...] = option(
        (Recipe.PORTABLE,), "A recipe of mkd export; may be repeated.", group=Group.BUNDLE
    )
    vocabulary: tuple[VocabularyChoice, ...] = option(
        (VocabularyChoice(), VocabularyChoice(Rows.TRIM)),
        "A vocabulary of mkd export; may be repeated.",
        group=Group.BUNDLE,
    )

    def __post_init__(self) -> None:
        check_limits(self)

    def too_much(self, *, latency_ms: float | None, size_bytes: int) -> str | None:
        """Return which limit is exceeded and by what; None if neither is."""
        if self.max_size_mb is not None and size_bytes > self.max_size_mb * 1e6:
            return f"{size_bytes / 1e6:.2f} MB, the limit is {self.max_size_mb:g}"
        if self.max_latency_ms is not None and latency_ms is not None and latency_ms > self.max_latency_ms:
            return f"{latency_ms:.2f} ms, the limit is {self.max_latency_ms:g}"
        return None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a student is made of: some of the teacher's layers, or another model.

    Attributes:
        name: Its folder among the students.
        layers: How many of the teacher's layers it keeps; None for another model.
        model: The other model, a folder or a hub name; None for layers of the teacher.
    """

    name: str
    layers: int | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One bundle of the grid: a shape and how it is exported."""

    shape: Shape
    recipe: Recipe
    vocabulary: VocabularyChoice

    @property
    def name(self) -> str:
        """Its name in tables and its folder among the bundles."""
        return f"{self.shape.name}-{self.recipe}-{str(self.vocabulary).replace(':', '')}"

    def export_config(self, *, max_length: int | None) -> ExportConfig:
        """Return how its student is exported."""
        return ExportConfig(recipe=(self.recipe,), vocabulary=self.vocabulary, max_length=max_length)


def make_grid(config: SearchConfig, *, teacher_layers: int) -> tuple[Candidate, ...]:
    """Return every candidate, small depths first.

    Raises:
        ConfigError: If the teacher has fewer layers, or two models have the same name.
    """
    depths = _depths(config.layers, teacher_layers)
    shapes = [Shape(f"{depth}-layer{'s' if depth > 1 else ''}", depth, None) for depth in depths]
    shapes += [Shape(Path(model).resolve().name, None, model) for model in config.student]
    names = [shape.name for shape in shapes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two students of the grid are named {twice}: give each its own name")
    return tuple(
        Candidate(shape, recipe, vocabulary)
        for shape in shapes
        for recipe in dict.fromkeys(config.recipe)
        for vocabulary in dict.fromkeys(config.vocabulary)
    )


def _depths(asked: tuple[int, ...], teacher_layers: int) -> list[int]:
    for depth in asked:
        if not 1 <= depth <= teacher_layers:
            raise ConfigError(f"--layers must be from 1 to {teacher_layers}, the teacher's, not {depth}")
    return sorted(set(asked)) or list(range(1, max(1, teacher_layers // 2) + 1))


def read_distillation(file: Path | None, *, epochs: float | None) -> DistillConfig:
    """Return how students are trained.

    Args:
        file: A TOML file of `mkd distill` options, or the `run.json` of one; None takes the defaults. Its
            choice of the student is ignored.
        epochs: Passes over the texts; None takes the file's.
    """
    values = read_config(file, DistillInputs, DistillConfig)
    own = {f.name for f in fields(DistillConfig)} - {
        "student",
        "student_layers",
        "student_ffn",
        "student_heads",
    }
    chosen = {name: value for name, value in values.items() if name in own}
    return DistillConfig(**(chosen if epochs is None else {**chosen, "epochs": epochs}))
