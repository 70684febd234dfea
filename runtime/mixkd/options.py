"""Options as fields of frozen dataclasses: each with default, help, limits and group, in one place.

`mixkd.parameters` makes them options of a command, `mixkd.configs` reads them from a file.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from mixkd.corpus.corpus import Columns, Corpus, open_corpus
from mixkd.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
_KEY = "option"


class Group(StrEnum):
    """The sections of a command's help, in their order."""

    REQUIRED = "Required"
    DATA = "Data"
    STUDENT = "Student"
    OBJECTIVE = "Objective"
    TRAINING = "Training"
    TRANSLATION = "Translation"
    SEARCH = "Search"
    QUANTIZATION = "Quantization"
    BUNDLE = "Bundle"
    ANSWER = "Answer"
    VARIANTS = "Variants"
    MEASUREMENT = "Measurement"
    SCENARIOS = "Scenarios"
    OUTPUT = "Output"
    OTHER = "Other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What is known of an option beside its name, type and default.

    Attributes:
        help: One or more sentences.
        group: Its section in the help.
        flag: Its name on the command line; None takes the field's.
        otherwise: What holds where the value is None, for the help.
        least: The value is at least this.
        above: The value is more than this.
        most: The value is at most this.
        below: The value is less than this.
        files: The suffixes of the config files that may give it.
    """

    help: str
    group: Group = Group.OTHER
    flag: str | None = None
    otherwise: str | None = None
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    files: tuple[str, ...] = (".toml", ".json")


@dataclass(frozen=True, slots=True)
class Preset:
    """Several options that one flag sets.

    Attributes:
        help: What the flag is for.
        values: The options' values; the command line and the config file go before them.
    """

    help: str
    values: Mapping[str, Any]


def option(default: _T, help: str, **about: Any) -> _T:
    """Return a dataclass field that is an option too; what else is known of it as in `Option`."""
    return field(default=default, metadata={_KEY: Option(help=help, **about)})


def required(help: str, **about: Any) -> Any:
    """Return a dataclass field that the command line or a config file must give."""
    return field(metadata={_KEY: Option(help=help, **about)})


def option_of(knob: "Field[Any]") -> Option:
    """Return what is known of the option that a field is."""
    found: Option = knob.metadata[_KEY]
    return found


def flag_of(name: str) -> str:
    """Return a field's name as on the command line."""
    return f"--{name.replace('_', '-')}"


def must_be(name: str, what: str, value: object) -> str:
    """Return the one sentence about an option's value that is refused.

    Args:
        name: The field's name, as `max_length`.
        what: What is allowed, as "at least 4".
        value: What was given.
    """
    return f"{flag_of(name)} must be {what}, not {value}"


def check_limits(config: "DataclassInstance", problems: Iterable[str] = ()) -> None:
    """Refuse values outside the limits of their options.

    Args:
        config: Its fields are options.
        problems: What else is wrong with it, a clause each.

    Raises:
        ConfigError: If anything is wrong; it names all of it.
    """
    found = [
        must_be(knob.name, allowed, value)
        for knob in fields(config)
        if _KEY in knob.metadata
        and (allowed := _allowed(option_of(knob), value := getattr(config, knob.name))) is not None
    ]
    if found := [*found, *problems]:
        raise ConfigError("; ".join(found))


def _allowed(limits: Option, value: object) -> str | None:
    """Return what values are allowed, None where this one is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    keeps = {
        ("at least", limits.least): limits.least is None or value >= limits.least,
        ("above", limits.above): limits.above is None or value > limits.above,
        ("at most", limits.most): limits.most is None or value <= limits.most,
        ("below", limits.below): limits.below is None or value < limits.below,
    }
    if math.isfinite(value) and all(keeps.values()):
        return None
    return " and ".join(f"{word} {limit}" for word, limit in keeps if limit is not None) or "a finite number"


@dataclass(frozen=True, kw_only=True)
class DataInputs:
    """The texts a command is given."""

    data: str = required(
        "A folder with train/validation/test files, one file (.tsv .csv .jsonl .parquet), "
        "a built-in name (clinc150) or a hub name (org/name[:config]).",
        group=Group.DATA,
    )
    text_column: str = option("text", "The column of the text.", group=Group.DATA)
    text2_column: str | None = option(
        None, "The column of the second text, for pairs.", group=Group.DATA, otherwise="text2"
    )
    label_column: str | None = option(None, "The column of the label.", group=Group.DATA, otherwise="label")

    def open(self) -> Corpus:
        """Find the splits, without reading them; errors as in `open_corpus`."""
        return open_corpus(self.data, self.columns())

    def columns(self) -> Columns:
        """Return the columns to read."""
        return Columns(text=self.text_column, text2=self.text2_column, label=self.label_column)
