"""Command-line options: those several stages share, and those that a config dataclass declares."""

import difflib
import functools
import inspect
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from mixkd.corpus.corpus import Columns, Corpus, open_corpus
from mixkd.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
_C = TypeVar("_C", bound="DataclassInstance")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY

Output = Annotated[Path, typer.Option(help="The folder to write; whole or absent.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the output folder holds.")]
_ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file or run.json of options.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def option(default: _T, help: str, *, flag: str | None = None) -> _T:
    """Return a dataclass field that is a command-line option too: its default, its help, its other name."""
    return field(default=default, metadata={"help": help, "flag": flag})


def required(help: str) -> Any:
    """Return a dataclass field that the command line or the config file must give."""
    return field(metadata={"help": help, "flag": None})


@dataclass(frozen=True, slots=True)
class Preset:
    """Several options that one flag sets.

    Attributes:
        help: What the flag is for.
        values: The options' values; the command line and the config file go before them.
    """

    help: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DataInputs:
    """The texts a command is given."""

    data: str = required(
        "A folder with train/validation/test files, one file (.tsv .csv .jsonl .parquet), "
        "a built-in name (clinc150) or a hub name (org/name[:config])."
    )
    text_column: str = option("text", "The column of the text.")
    text2_column: str | None = option(None, "The column of the second text, for pairs [text2].")
    label_column: str | None = option(None, "The column of the label [label].")

    def open(self) -> Corpus:
        """Find the splits, without reading them; errors as in `open_corpus`."""
        return open_corpus(self.data, self.columns())

    def columns(self) -> Columns:
        """Return the columns to read."""
        return Columns(text=self.text_column, text2=self.text2_column, label=self.label_column)


def with_options(
    *, presets: Mapping[str, Preset] | None = None, **classes: type["DataclassInstance"]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option per field of some dataclasses; it gets an instance of each, by these names.

    The fields' types, defaults and helps stand once, in the dataclass. A tuple is an option that may be
    repeated; a type with a class method `parse` is read by it. Where one of them is `config`, a `--config`
    file (TOML, or the `run.json` of an earlier run) fills in what the command line leaves out.

    Args:
        presets: Flags by name, at most one of them given; what they set shows in the options' help.
        classes: The dataclasses.
    """
    presets = presets or {}
    hints = {name: hint for made in classes.values() for name, hint in get_type_hints(made).items()}
    knobs = [f for made in classes.values() for f in fields(made) if f.init]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(**given: Any) -> None:
            file = given.pop("config_file", None)
            on_line = {f.name: given.pop(f.name) for f in knobs}
            values = _preset(presets, [name for name in presets if given.pop(name)])
            values |= read_config(file, *classes.values())
            values |= {name: _hashable(value) for name, value in on_line.items() if value not in (None, [])}
            command(**{name: _instance(made, values) for name, made in classes.items()}, **given)

        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name not in classes]
        must, may = ([f for f in knobs if (f.default is MISSING) == first] for first in (True, False))
        parameters = [
            *(_parameter(f, hints[f.name], presets) for f in must),
            *(p.replace(kind=_KEYWORD) for p in own),
            *(_flag(name, preset) for name, preset in presets.items()),
            *(_parameter(f, hints[f.name], presets) for f in may),
        ]
        if "config" in classes:
            parameters.append(
                inspect.Parameter("config_file", _KEYWORD, default=None, annotation=_ConfigFile)
            )
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _preset(presets: Mapping[str, Preset], asked: list[str]) -> dict[str, Any]:
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(f'--{name}' for name in asked)} exclude each other: give one")
    return dict(presets[asked[0]].values) if asked else {}


def _flag(name: str, preset: Preset) -> inspect.Parameter:
    annotation = Annotated[bool, typer.Option(f"--{name}", help=preset.help)]
    return inspect.Parameter(name, _KEYWORD, default=False, annotation=annotation)


def _parameter(knob: "Field[Any]", hint: Any, presets: Mapping[str, Preset]) -> inspect.Parameter:
    """Return the option of one field; absent from the command line it is None, or no values."""
    names = (knob.metadata["flag"],) if knob.metadata["flag"] else ()
    default = {None: [], (): [], MISSING: ["required"]}.get(knob.default, [_shown(knob.default)])
    default += [f"{name}: {p.values[knob.name]}" for name, p in presets.items() if knob.name in p.values]
    shown = f" [{'; '.join(default)}]" if default else ""
    several = get_origin(hint) is tuple
    kind: Any = get_args(hint)[0] if several else hint
    parse = getattr(kind, "parse", None)
    info = typer.Option(
        *names,
        help=knob.metadata["help"] + shown,
        show_default=False,
        parser=parse,
        metavar="TEXT" if parse else None,
    )
    annotation: Any = Annotated[(list[kind] if several else kind) | None, info]
    return inspect.Parameter(knob.name, _KEYWORD, default=None, annotation=annotation)


def _shown(default: object) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _instance(made: type[_C], values: dict[str, Any]) -> _C:
    own = {f.name: values[f.name] for f in fields(made) if f.init and f.name in values}
    missing = [f.name for f in fields(made) if f.init and f.default is MISSING and f.name not in own]
    if missing:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise ConfigError(f"{names} must be given, on the command line or in a --config file")
    return made(**own)


def read_config(file: Path | None, *classes: type["DataclassInstance"]) -> dict[str, Any]:
    """Return the options of a TOML file or a `run.json`; hyphens and underscores read the same.

    Raises:
        ConfigError: If the file can't be read, or holds a key that is no option, or a value of another type.
    """
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            run = json.loads(text)
            values = {**run["inputs"], **run["config"]}
        else:
            values = tomllib.loads(text)
        values = {str(key).replace("-", "_"): value for key, value in values.items()}
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{file} can't be read as a config: {error}") from error
    hints = {f.name: get_type_hints(made)[f.name] for made in classes for f in fields(made) if f.init}
    if unknown := sorted(values.keys() - hints):
        near = difflib.get_close_matches(unknown[0], hints, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(hints))}"
        raise ConfigError(f"{file}: {unknown[0]} is no option; {hint}")
    return {
        key: _typed(value, hints[key], f"{file}: {key}") for key, value in values.items() if value is not None
    }


def _typed(value: object, hint: Any, where: str) -> object:
    if get_origin(hint) is tuple:
        if isinstance(value, list):
            return tuple(_typed(item, get_args(hint)[0], where) for item in value)
        raise ConfigError(f"{where} must be a list, not {value!r}")
    for kind in get_args(hint) or (hint,):
        if hasattr(kind, "parse") and isinstance(value, str):
            return kind.parse(value)
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if issubclass(kind, (StrEnum, Path)) and isinstance(value, str):
            try:
                return kind(value)
            except ValueError:
                raise ConfigError(f"{where} is one of {', '.join(kind)}, not {value}") from None
    raise ConfigError(f"{where} has the value {value!r}, which is no {getattr(hint, '__name__', hint)}")
