"""Datasets of the Hugging Face hub as splits of a corpus."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mixkd.corpus.corpus import Split
from mixkd.corpus.files import Row
from mixkd.endpoint import hub_reachable
from mixkd.errors import DataError, first_line


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
        """Yield the rows, with class names instead of class numbers; -1 means unlabelled."""
        for row in self.table:
            named = {
                column: None if row[column] in {None, -1} else names[row[column]]
                for column, names in self.class_names.items()
            }
            yield {**row, **named}


def hub_splits(name: str) -> dict[str, Split]:
    """Load a hub dataset by `org/name[:config]`.

    Raises:
        DataError: If there is no such dataset, or neither hub nor local cache has it.
    """
    import datasets

    repository, _, config = name.partition(":")
    if not datasets.config.HF_HUB_OFFLINE and not hub_reachable():
        datasets.config.HF_HUB_OFFLINE = True  # the dataset may be in the local cache
    try:
        loaded = datasets.load_dataset(repository, config or None, trust_remote_code=False)
    except Exception as error:  # the package has no base class for its errors
        raise DataError(f"hub dataset {name} can't be loaded: {first_line(error)}") from error
    splits: dict[str, Split] = {}
    for split, table in loaded.items():
        names = {c: f.names for c, f in table.features.items() if isinstance(f, datasets.ClassLabel)}
        splits[str(split)] = HubSplit(f"{name}, split {split}", table, names)
    return splits
