"""Texts and labels, read lazily from files, the built-in sets, or the hub.

`--data D` means the same in every command: a folder with train/validation/test files, one file, a built-in
name, or a hub name. Nothing here needs the datasets package, so a device can be measured on its own texts.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from mixkd.corpus.files import SUFFIXES, Row, read_rows
from mixkd.errors import DataError
from mixkd.extras import plugin

BUILT_IN = ("clinc150",)

_AUGMENTED = "augmented-"
_BUILT_IN_FOLDER = Path(__file__).parent
_SPLIT_STEMS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}

Label: TypeAlias = str | tuple[str, ...] | Mapping[str, float] | None
"""One name, several names (multi-label), a probability per name (soft label), or None (unlabelled)."""


@dataclass(frozen=True, slots=True)
class Example:
    """One text or pair of texts with its label; a number is kept as its decimal string."""

    text: str
    text2: str | None = None
    label: Label = None

    @property
    def content(self) -> str | tuple[str, str]:
        """The text, or the pair of texts, as a classifier takes it."""
        return self.text if self.text2 is None else (self.text, self.text2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns to read; None takes `text2` and `label` where the data has them."""

    text: str = "text"
    text2: str | None = None
    label: str | None = None


class Split(Protocol):
    """One split of a corpus, wherever it comes from."""

    def rows(self) -> Iterator[Row]:
        """Yield every row from the start."""
        ...

    def fingerprint(self) -> str:
        """Return a sha256 of the content."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FileSplit:
    """One split in one file; the suffix says the format."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def fingerprint(self) -> str:
        """Return the sha256 of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def rows(self) -> Iterator[Row]:
        """Yield the file's rows; see `read_rows`."""
        return read_rows(self.path)


@dataclass(frozen=True, slots=True)
class ThinnedSplit:
    """Every n-th row of a split, from the first."""

    split: Split
    every: int

    def __str__(self) -> str:
        return f"{self.split}, every {self.every}th row"

    def fingerprint(self) -> str:
        """Return the whole split's sha256 with the stride behind it."""
        return f"{self.split.fingerprint()}/{self.every}"

    def rows(self) -> Iterator[Row]:
        """Yield the kept rows."""
        return islice(self.split.rows(), 0, None, self.every)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Named splits of examples; nothing is read before it is asked for.

    Attributes:
        name: What it is called in records.
        splits: `train`, `validation`, `test`, and `augmented-1` and so on for more texts to train on.
        columns: The columns to read.
        origin: What `open_corpus` was given, by option name.
    """

    name: str
    splits: Mapping[str, Split]
    columns: Columns = Columns()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def read(self, split: str) -> Iterator[Example]:
        """Yield the examples of a split.

        Raises:
            DataError: If the split, a column or every row is missing, or a row is malformed.
        """
        source = self.split(split)
        number = 0
        for number, row in enumerate(source.rows(), start=1):
            if number == 1:
                _check_columns(row, self.columns, source)
            yield _example(row, self.columns, where=self.where(split, number))
        if number == 0:
            raise DataError(f"{source} has no rows: give a file with a header line and at least one text")

    def split(self, name: str) -> Split:
        """Return a split by name, or raise `DataError` naming those there are."""
        if name not in self.splits:
            raise DataError(f"{self.name} has no {name} split, only {', '.join(self.splits)}")
        return self.splits[name]

    def where(self, split: str, row: int) -> str:
        """Return what errors call a row of a split, counted from 1."""
        return f"{self.split(split)}, row {row}"

    def thinned(self, every: int) -> "Corpus":
        """Return the corpus with every n-th row of each split."""
        splits = {name: ThinnedSplit(split, every) for name, split in self.splits.items()}
        return replace(self, splits=splits)

    def augmented_splits(self) -> list[str]:
        """Return the names of the splits that are more texts to train on."""
        return [name for name in self.splits if name.startswith(_AUGMENTED)]

    def evaluation_split(self) -> str:
        """Return the split to judge on: test, else validation, else the only one there is."""
        return self.first_split("test", "validation")

    def first_split(self, *names: str) -> str:
        """Return the first of these splits that the corpus has, else `evaluation_split`, else its first."""
        known = (name for name in (*names, "test", "validation", *self.splits) if name in self.splits)
        return next(known)


def open_corpus(
    data: str | Path, columns: Columns | None = None, *, augmented: Sequence[str | Path] = ()
) -> Corpus:
    """Find the splits that `data` names, without reading them.

    Args:
        data: A folder with train/validation/test files, one file, a name of `BUILT_IN`, or a hub name
            `org/name[:config]`.
        columns: The columns to read; None takes `text`, and `text2` and `label` where they are there.
        augmented: Files of more texts to train on, labelled or not.

    Raises:
        DataError: If nothing is found, or a split is there twice.
        MissingExtraError: If a hub name is given and the datasets package isn't installed.
    """
    columns = columns or Columns()
    name, splits = _find_splits(str(data))
    for number, file in enumerate(augmented, start=1):
        path = Path(file).expanduser()
        if not path.is_file():
            raise DataError(f"no file of more training texts at {path}")
        splits[f"{_AUGMENTED}{number}"] = _file_split(path)
    named = {f"{column}_column": name for column, name in asdict(columns).items()}
    return Corpus(name, splits, columns, {"data": str(data), "augmented": [*map(str, augmented)], **named})


def _find_splits(data: str) -> tuple[str, dict[str, Split]]:
    """Return the name for records and the splits."""
    path = Path(data).expanduser()
    if path.is_file():
        return path.name, {_split_of(path) or "train": _file_split(path)}
    if path.is_dir():
        return path.resolve().name, _folder_splits(path)
    if data in BUILT_IN:
        return data, _folder_splits(_BUILT_IN_FOLDER / data)
    if (
        path.suffix.lower() not in SUFFIXES
        and data.partition(":")[0].count("/") == 1
        and data[0] not in "./~"
    ):
        return data, plugin("hub-splits", extra="compress")(data)
    raise DataError(
        f"no data at {data}: give a folder with train.tsv, a file ({', '.join(SUFFIXES)}), "
        f"a built-in name ({', '.join(BUILT_IN)}) or a hub name (org/name)"
    )


def built_in_file(name: str, file: str) -> Path:
    """Return the path of one file of a built-in set, such as ``oos_test.tsv`` of clinc150."""
    return _BUILT_IN_FOLDER / name / file


def _split_of(path: Path) -> str | None:
    stem = path.stem.lower()
    return next((split for split, stems in _SPLIT_STEMS.items() if stem in stems), None)


def _file_split(path: Path) -> FileSplit:
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} has an unknown format: {', '.join(SUFFIXES)} can be read")
    return FileSplit(path)


def _folder_splits(folder: Path) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for split in _SPLIT_STEMS:
        paths = [
            p for p in sorted(folder.iterdir()) if _split_of(p) == split and p.suffix.lower() in SUFFIXES
        ]
        if len(paths) > 1:
            raise DataError(f"{folder} holds the {split} split twice: {paths[0].name} and {paths[1].name}")
        if paths:
            found[split] = FileSplit(paths[0])
    if not found:
        raise DataError(f"{folder} holds no train, validation or test file ({', '.join(SUFFIXES)})")
    return found


def _check_columns(row: Row, columns: Columns, source: Split) -> None:
    asked = [name for name in (columns.text, columns.text2, columns.label) if name is not None]
    missing = [name for name in asked if name not in row]
    if missing:
        raise DataError(
            f"{source} has no column {missing[0]!r}, only {', '.join(map(repr, row))}: "
            "name yours with --text-column, --text2-column, --label-column"
        )


def _example(row: Row, columns: Columns, *, where: str) -> Example:
    text, text2 = row.get(columns.text), row.get(columns.text2 or "text2")
    if not isinstance(text, str) or not (text2 is None or isinstance(text2, str)):
        raise DataError(f"{where}: a text is missing or not a string")
    return Example(text, text2, _label(row.get(columns.label or "label"), where))


def _label(value: object, where: str) -> Label:
    match value:
        case None | "":
            return None
        case str() | int() | float():
            return _name(value, where)
        case list() | tuple():
            return tuple(_name(item, where) for item in value)
        case Mapping():
            # Formats with one type per column fill in null for the names that a label doesn't have.
            given = {str(name): share for name, share in value.items() if share is not None}
            return {name: _probability(share, where) for name, share in given.items()} or None
    raise DataError(f"{where}: a label is a {type(value).__name__}, not {_LABELS}")


_LABELS = "a name, a number, a list of names or a mapping from names to probabilities"


def _name(value: object, where: str) -> str:
    if not isinstance(value, str | int | float):
        raise DataError(f"{where}: a label holds a {type(value).__name__}, not {_LABELS}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{where}: the label {value} is not a finite number")
    return str(value)


def _probability(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"{where}: the probability {value!r:.40} of a label is not a number from 0 to 1")
    return float(value)
