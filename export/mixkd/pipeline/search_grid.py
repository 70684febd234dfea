"""The options of `mkd search`: its limits, and the grid of students that are tried."""

from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path

from mixkd.compress.config import DistillConfig
from mixkd.compress.inputs import DistillInputs, Selection
from mixkd.compress.shape import StudentKind, StudentShape
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
    ffn: tuple[int, ...] = option(
        (),
        "A number of feed-forward neurons that each layer keeps; may be repeated.",
        group=Group.STUDENT,
        otherwise="all of them",
    )
    heads: tuple[int, ...] = option(
        (),
        "A number of attention heads that each layer keeps; may be repeated.",
        group=Group.STUDENT,
        otherwise="all of them",
    )
    kind: tuple[StudentKind, ...] = option(
        (StudentKind.TRANSFORMER, StudentKind.BAG),
        "A kind of student, as for mkd distill --student-kind; may be repeated.",
        group=Group.STUDENT,
    )
    trial_epochs: float = option(
        1.0,
        "Passes of a short training of each shape: one that a faster shape beats isn't trained in full; "
        "0 trains all.",
        group=Group.SEARCH,
        least=0,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a student is made of: parts of the teacher, its word embeddings alone, or another model.

    Attributes:
        name: Its folder among the students.
        kind: A transformer, or a bag.
        layers: How many of the teacher's layers it keeps; None for a bag or another model.
        ffn: Neurons that each layer keeps; None keeps all.
        heads: Attention heads that each layer keeps; None keeps all.
        model: The other model, a folder or a hub name; None for a part of the teacher.
    """

    name: str
    kind: StudentKind = StudentKind.TRANSFORMER
    layers: int | None = None
    ffn: int | None = None
    heads: int | None = None
    model: str | None = None

    @classmethod
    def of_layers(cls, layers: int, *, ffn: int | None = None, heads: int | None = None) -> "Shape":
        """Return a shape of some of the teacher's layers, named after what it keeps."""
        parts = [f"{layers}-layer{'s' if layers > 1 else ''}"]
        parts += [f"{ffn}-neurons"] if ffn is not None else []
        parts += [f"{heads}-head{'s' if heads > 1 else ''}"] if heads is not None else []
        return cls(name="-".join(parts), layers=layers, ffn=ffn, heads=heads)

    def training(self, config: DistillConfig) -> DistillConfig:
        """Return the options of a training with this shape."""
        return replace(
            config,
            student_kind=self.kind,
            student_layers=self.layers,
            student_ffn=self.ffn,
            student_heads=self.heads,
            student=self.model,
            max_latency_ms=None,
        )


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
    """Return every candidate: the bag, small depths first, other models.

    Raises:
        ConfigError: If the teacher has fewer layers, or two models have the same name.
    """
    shapes = [Shape(name="bag", kind=StudentKind.BAG)] if StudentKind.BAG in config.kind else []
    if StudentKind.TRANSFORMER in config.kind:
        ffn: list[int | None] = [*dict.fromkeys(config.ffn)] or [None]
        heads: list[int | None] = [*dict.fromkeys(config.heads)] or [None]
        depths = _depths(config.layers, teacher_layers)
        shapes += [Shape.of_layers(d, ffn=f, heads=h) for d, f, h in product(depths, ffn, heads)]
    shapes += [Shape(name=Path(model).resolve().name, model=model) for model in config.student]
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
    shape = {f.name for f in fields(StudentShape)} - {f.name for f in fields(Selection)} - {"keep"}
    own = {f.name for f in fields(DistillConfig)} - shape
    chosen = {name: value for name, value in values.items() if name in own}
    return DistillConfig(**(chosen if epochs is None else {**chosen, "epochs": epochs}))
