"""The options of an export."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError
from mixkd.options import DataInputs, Group, check_limits, option
from mixkd.task import LEAST_LENGTH

DEFAULT_DROP = 0.5
"""The accuracy budget in points where something needs one and none was given."""


_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}|multilingual")


class Recipe(StrEnum):
    """A way to quantize the matrix products."""

    PORTABLE = "portable"
    """7-bit weights with one scale per output channel: the same labels with and without VNNI."""

    FAST = "fast"
    """8-bit weights with one scale per matrix: a few per cent faster on short texts, slightly less accurate.
    On AVX2 without VNNI the sums saturate."""

    STATIC = "static"
    """The weights of portable, and fixed ranges of the activations, measured on texts (QDQ, min-max)."""


class Exporter(StrEnum):
    """What traces the student into an ONNX graph."""

    AUTO = "auto"
    """`torch`."""

    TORCH = "torch"
    """PyTorch's own exporter."""

    OPTIMUM = "optimum"
    """Hugging Face optimum: the same graph; it needs ``mixkd[optimum]`` and transformers 4.57."""


class TableFormat(StrEnum):
    """How the embedding tables are stored."""

    INT8 = "int8"
    """8 bits with one scale per row: no measurable loss."""

    INT4 = "int4"
    """4 bits with one scale per 128 numbers: half the bytes of int8, at a small loss."""

    FP32 = "fp32"


class Rows(StrEnum):
    """Which pieces of the vocabulary keep a row of their own in the table of word embeddings."""

    FULL = "full"
    """All of them."""

    TRIM = "trim"
    """Those of the training texts; the others are removed from the tokenizer too."""

    SHARE = "share"
    """Those of the training texts; the others stay in the tokenizer and use the row of the most similar."""


@dataclass(frozen=True, slots=True)
class VocabularyChoice:
    """How many rows the table of word embeddings keeps.

    Attributes:
        rows: Which pieces have one.
        others: Pieces kept beside those of the training texts: the most frequent ones of the vocabulary.
    """

    rows: Rows = Rows.FULL
    others: int = 0

    def __post_init__(self) -> None:
        if self.others < 0 or (self.others and self.rows is Rows.FULL):
            raise ConfigError(f"--vocabulary {self.rows} can't keep {self.others} more pieces")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what the command line and config files say, such as ``share`` or ``trim:2500``.

        Raises:
            ConfigError: If it is anything else.
        """
        rows, colon, others = text.partition(":")
        counted = rows != Rows.FULL and others.isascii() and others.isdecimal()
        if rows not in set(Rows) or (colon and not counted):
            raise ConfigError(f"--vocabulary must be full, trim, trim:N, share or share:N, not {text}")
        return cls(Rows(rows), int(others or 0))

    def __str__(self) -> str:
        return f"{self.rows}:{self.others}" if self.others else str(self.rows)


@dataclass(frozen=True, kw_only=True)
class ExportInputs(DataInputs):
    """The texts that an export is measured on; without data nothing is measured."""

    data: str = option(
        "",
        "Labelled texts to measure on: a folder, a file, a built-in name or a hub name.",
        group=Group.DATA,
    )

    def open_if_given(self) -> Corpus | None:
        """Find the splits, if any data is given."""
        return self.open() if self.data else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """Every choice of an export; the defaults are what `mkd export --int8` does."""

    int8: bool = option(True, "Quantize to int8; --no-int8 writes an fp32 bundle.", group=Group.QUANTIZATION)
    recipe: tuple[Recipe, ...] = option(
        (Recipe.PORTABLE,),
        "How to quantize: portable, fast or static. May be repeated: each recipe is measured and the fastest "
        "one within the accuracy budget is kept.",
        group=Group.QUANTIZATION,
    )
    fastest: bool = option(
        False,
        "Measure every recipe and keep the fastest one within the accuracy budget; needs --data.",
        group=Group.QUANTIZATION,
    )
    max_drop: float | None = option(
        None,
        "Accuracy budget: points that int8 may lose against the PyTorch student; needs --data.",
        group=Group.QUANTIZATION,
        otherwise=f"{DEFAULT_DROP} where recipes are compared, or with --max-recall-drop",
        least=0,
        most=100,
    )
    max_recall_drop: float | None = option(
        None,
        "Budget of each label: points of recall that int8 may take from any label that has enough texts to "
        "judge it by; needs --data.",
        group=Group.QUANTIZATION,
        otherwise="no limit",
        least=0,
        most=100,
    )
    target_isa: tuple[str, ...] = option(
        (),
        "Also answer on this processor, emulated by qemu, and compare: haswell, nehalem or aarch64; may be "
        "repeated; needs --data.",
        group=Group.QUANTIZATION,
    )
    embeddings: TableFormat = option(
        TableFormat.INT8, "The format of the embedding tables.", group=Group.QUANTIZATION
    )
    vocabulary: VocabularyChoice = option(
        VocabularyChoice(),
        "full; trim: only the pieces of the training texts and those that other text falls back to, with "
        "trim:N also the N most frequent others; share or share:N: the same rows, but the other pieces use "
        "the row of the most similar piece; trim and share need --data and a WordPiece, Unigram or BPE "
        "tokenizer.",
        group=Group.BUNDLE,
    )
    max_length: int | None = option(
        None,
        "Tokens per text, special tokens included.",
        group=Group.BUNDLE,
        otherwise="the length used in training, else 128",
        least=LEAST_LENGTH,
    )
    keep_fp32: bool = option(
        False, "Keep the fp32 graph in the bundle, beside the int8 one.", group=Group.BUNDLE
    )
    with_tokenizer: bool = option(
        False,
        "Also write onnx/text_to_label.onnx, which takes the text itself: it needs onnxruntime-extensions.",
        group=Group.BUNDLE,
    )
    publish_examples: bool = option(
        False,
        "Write texts whose label int8 changed into README.md and export.json, where everyone who gets the "
        "bundle can read them.",
        group=Group.BUNDLE,
    )
    license: str | None = option(
        None,
        "The licence of the bundle, as the hub names it, for its card: apache-2.0, mit, cc-by-4.0 ...",
        group=Group.BUNDLE,
    )
    language: tuple[str, ...] = option(
        (),
        "A language of the texts, for the card: en, de ... or multilingual; may be repeated.",
        group=Group.BUNDLE,
    )
    exporter: Exporter = option(
        Exporter.AUTO,
        "What traces the student: torch, or optimum, which needs mixkd[optimum] and gives the same graph; "
        "auto is torch.",
        group=Group.BUNDLE,
    )
    seed: int = option(0, "Seed of the choice of texts for measuring sensitivity.", group=Group.QUANTIZATION)

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        problems = []
        if not self.recipe:
            problems.append("--recipe must name at least one recipe")
        if self.max_drop is not None and not self.int8:
            problems.append("--max-drop limits what int8 loses: leave out --max-drop or --no-int8")
        if self.max_recall_drop is not None and not self.int8:
            problems.append("--max-recall-drop limits what int8 loses: leave it out, or --no-int8")
        if self.license is not None and not _LICENCE.fullmatch(self.license):
            problems.append(f"--license must be a name of the hub's, as apache-2.0, not {self.license}")
        problems += [
            f"--language must be a code of two or three letters, as en, or multilingual, not {language}"
            for language in self.language
            if not _LANGUAGE.fullmatch(language)
        ]
        check_limits(self, problems)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipes that are measured, the preferred one first."""
        return tuple(dict.fromkeys((*self.recipe, *Recipe) if self.fastest else self.recipe))

    @property
    def budget(self) -> float | None:
        """The points that int8 may lose; None where no option needs a budget."""
        compared = len(self.recipes) > 1 or self.max_recall_drop is not None
        return DEFAULT_DROP if self.max_drop is None and compared else self.max_drop

    @property
    def needs_text(self) -> str | None:
        """The first option that needs data, None where none does."""
        wanted = {
            "--max-drop": self.max_drop is not None,
            "--max-recall-drop": self.max_recall_drop is not None,
            f"--vocabulary {self.vocabulary}": self.vocabulary.rows is not Rows.FULL,
            "--fastest": self.int8 and self.fastest,
            "more than one --recipe": self.int8 and len(self.recipes) > 1,
            "--target-isa": bool(self.target_isa),
            "--recipe static": self.int8 and Recipe.STATIC in self.recipes,
        }
        return next((what for what, asked in wanted.items() if asked), None)

    @property
    def processors(self) -> tuple[str, ...]:
        """The processors besides this one that the graph is run on."""
        return tuple(dict.fromkeys(self.target_isa))
