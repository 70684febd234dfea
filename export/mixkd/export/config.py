"""What an export may be asked for."""

from dataclasses import dataclass
from enum import StrEnum

from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError
from mixkd.options import DataInputs, option


class Recipe(StrEnum):
    """A way to quantize the matrix products."""

    PORTABLE = "portable"
    """Weights of 7 bits per channel: the same labels on processors with and without VNNI."""

    FAST = "fast"
    """Weights of 8 bits, one scale per matrix: a few per cent faster on short texts, and a little coarser.
    Sums saturate on AVX2 without VNNI."""

    STATIC = "static"
    """As portable, but the range of each activation is fixed beforehand, from texts (QDQ, min-max)."""


AUTO = "auto"
DEFAULT_DROP = 0.5
"""The budget in points where several recipes compete and none was given."""


class TableFormat(StrEnum):
    """How the embedding tables are stored."""

    INT8 = "int8"
    """A scale per row: what is lost is hard to measure."""

    INT4 = "int4"
    """A scale per 128 numbers: half the bytes of int8, at a small loss."""

    FP32 = "fp32"


@dataclass(frozen=True, kw_only=True)
class ExportInputs(DataInputs):
    """What an export is measured on: nothing, where no data is given."""

    data: str = option(
        "",
        "Labelled texts to measure on: a folder, a file, a built-in name or a hub name.",
    )

    def open_if_given(self) -> Corpus | None:
        """Find the splits, if any data is given."""
        return self.open() if self.data else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """Every choice of an export; the defaults are what `mkd export --int8` does."""

    int8: bool = option(True, "Quantize to int8; --no-int8 writes a plain fp32 bundle.")
    recipe: str = option(
        "portable",
        "The preferred way to quantize: portable, fast or static. Several with commas between, or auto for "
        "all: each is measured, the fastest within the budget is kept.",
    )
    embeddings: TableFormat = option(TableFormat.INT8, "The format of the embedding tables.")
    vocabulary: str = option(
        "full",
        "full, or trim[:N]: only the pieces of the training text and N frequent others, or share[:N]: no "
        "more rows, but the pieces left out take the row of the nearest one; needs --data.",
    )
    keep_fp32: bool = option(False, "Keep the fp32 graph in the bundle, beside the int8 one.")
    with_tokenizer: bool = option(
        False,
        "Also write onnx/text_to_label.onnx, which takes the text itself: it needs onnxruntime-extensions.",
    )
    max_length: int | None = option(None, "Tokens per text [what the student was trained with, else 128].")
    max_drop: float | None = option(
        None, "Accuracy budget: points that int8 may lose against the PyTorch student; needs --data."
    )
    target_isa: str | None = option(
        None,
        "Other processors that must answer alike, emulated by qemu: haswell, nehalem, aarch64, several with "
        "commas between; needs --data.",
    )
    seed: int = option(13, "Seed of the choice of texts for measuring sensitivity.")

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        if self.max_length is not None and self.max_length < 4:
            raise ConfigError(f"max_length is {self.max_length}: give room for 4 tokens at least")
        kind, _, count = self.vocabulary.partition(":")
        if kind not in {"full", "trim", "share"} or (count and (kind == "full" or not count.isdecimal())):
            raise ConfigError(f"vocabulary is {self.vocabulary!r}: give full, trim[:N] or share[:N]")
        if unknown := set(self.recipe.split(",")) - {AUTO, *Recipe}:
            raise ConfigError(
                f"recipe is {min(unknown)!r}: give one of {', '.join(Recipe)}, several with commas, or {AUTO}"
            )
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise ConfigError(f"max_drop is {self.max_drop}: give points between 0 and 100")
        if self.max_drop is not None and not self.int8:
            raise ConfigError("max_drop bounds what int8 loses: give --int8 with it, or neither")

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipes that are asked for, the preferred one first."""
        words = dict.fromkeys(self.recipe.split(","))
        return tuple(Recipe) if AUTO in words else tuple(Recipe(word) for word in words)

    @property
    def budget(self) -> float | None:
        """The points that int8 may lose; None where nothing was asked for that needs a budget."""
        return DEFAULT_DROP if self.max_drop is None and len(self.recipes) > 1 else self.max_drop

    @property
    def needs_text(self) -> str | None:
        """What can't be done without data, None where nothing is."""
        wanted = {
            "max_drop": self.max_drop is not None,
            "a smaller vocabulary": self.other_pieces is not None,
            "a choice of recipes": self.int8 and len(self.recipes) > 1,
            "target_isa": self.target_isa is not None,
            "the recipe static": self.int8 and Recipe.STATIC in self.recipes,
        }
        return next((what for what, asked in wanted.items() if asked), None)

    @property
    def other_pieces(self) -> int | None:
        """How many pieces are kept beside those of the training text; None keeps the whole vocabulary."""
        kind, _, count = self.vocabulary.partition(":")
        return None if kind == "full" else int(count or 0)

    @property
    def processors(self) -> tuple[str, ...]:
        """The processors besides this one that the graph is run on."""
        return tuple(dict.fromkeys(self.target_isa.split(","))) if self.target_isa else ()

    @property
    def shares_rows(self) -> bool:
        """Whether the pieces left out of the table stay in the tokenizer, with the row of the nearest one."""
        return self.vocabulary.startswith("share")
