"""Splits of a hub dataset, through the datasets package of the `compress` extra."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mixkd.errors import DataError, MissingExtraError
from mixkd.texts import Row, Split


@dataclass(frozen=True, slots=True)
class HubSplit:
    """One split of a hub dataset, memory-mapped by the datasets package."""

    name: str
    table: Any
    class_names: dict[str, list[str]]

    def __str__(self) -> str:
        return self.name

    def fingerprint(self) -> str:
        """Return the datasets package's own content fingerprint."""
        return str(self.table._fingerprint)

    def rows(self) -> Iterator[Row]:
        """Yield the rows, class numbers turned into their names; -1 is an absent label."""
        for row in self.table:
            named = {
                column: None if row[column] in {None, -1} else names[row[column]]
                for column, names in self.class_names.items()
            }
            yield {**row, **named}


def hub_splits(name: str) -> dict[str, Split]:
    """Load a hub dataset by `org/name[:config]`.

    Raises:
        DataError: If the hub doesn't know it or can't be reached.
        MissingExtraError: If the datasets package isn't installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "compress") from error
    repository, _, config = name.partition(":")
    try:
        loaded = datasets.load_dataset(repository, config or None)
    except Exception as error:  # the package raises a dozen kinds, none of them its own root
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"hub dataset {name} can't be loaded: {reason}") from error
    splits: dict[str, Split] = {}
    for split, table in loaded.items():
        names = {c: f.names for c, f in table.features.items() if isinstance(f, datasets.ClassLabel)}
        splits[str(split)] = HubSplit(f"{name}, split {split}", table, names)
    return splits
