"""Command-line options: those several stages share, and those that a config dataclass declares."""

import difflib
import functools
import inspect
import json
import tomllib
from collections.abc import Callable
from dataclasses import field, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

import typer

from mixkd.errors import ConfigError
from mixkd.texts import Columns

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
_C = TypeVar("_C", bound="DataclassInstance")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY

Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="A folder with train/validation/test files, one file (.tsv .csv .jsonl .parquet), "
        "a built-in name (clinc150) or a hub name (org/name[:config]).",
    ),
]
TextColumn = Annotated[str, typer.Option(help="The column of the text.")]
Text2Column = Annotated[str | None, typer.Option(help="The column of the second text, for pairs [text2].")]
LabelColumn = Annotated[str | None, typer.Option(help="The column of the label [label].")]
Output = Annotated[Path, typer.Option(help="The folder to write; whole or absent.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the output folder holds.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def columns(text: str, text2: str | None, label: str | None) -> Columns:
    """Return the columns that the three options name."""
    return Columns(text=text, text2=text2, label=label)


def option(default: _T, help: str, *, flag: str | None = None) -> _T:
    """Return a dataclass field that is a command-line option too: its default, its help, its other name."""
    return field(default=default, metadata={"help": help, "flag": flag})


def with_config(config_class: type[_C]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option per field of a config dataclass; the command gets them as `config`.

    The fields' types, defaults and helps stand once, in the dataclass; a `--config` file (TOML, or the
    `run.json` of an earlier run) fills in what the command line leaves out.
    """
    hints = get_type_hints(config_class)
    knobs = [f for f in fields(config_class) if f.init]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(**given: Any) -> None:
            file = given.pop("config_file")
            values = {f.name: given.pop(f.name) for f in knobs}
            chosen = {name: value for name, value in values.items() if value is not None}
            command(config=config_class(**{**read_config(file, config_class), **chosen}), **given)

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "config"]
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own]
        for f in knobs:
            names = (f.metadata["flag"],) if f.metadata["flag"] else ()
            text = f.metadata["help"] + ("" if f.default is None else f" [{f.default}]")
            annotation = _annotate(hints[f.name], typer.Option(*names, help=text, show_default=False))
            parameters.append(inspect.Parameter(f.name, _KEYWORD, default=None, annotation=annotation))
        file_option = Annotated[
            Path | None, typer.Option("--config", help="A TOML file or run.json of options.")
        ]
        parameters.append(inspect.Parameter("config_file", _KEYWORD, default=None, annotation=file_option))
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def _annotate(hint: Any, option_info: Any) -> Any:
    return Annotated[hint | None, option_info]


def read_config(file: Path | None, config_class: type[_C]) -> dict[str, Any]:
    """Return the options of a TOML file or a `run.json`; hyphens and underscores read the same.

    Raises:
        ConfigError: If the file can't be read, or holds a key that is no option, or a value of another type.
    """
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text)["config"] if file.suffix == ".json" else tomllib.loads(text)
        values = {str(key).replace("-", "_"): value for key, value in values.items()}
    except (OSError, KeyError, AttributeError, ValueError) as error:
        raise ConfigError(f"{file} can't be read as a config: {error}") from error
    known = {f.name for f in fields(config_class) if f.init}
    if unknown := sorted(values.keys() - known):
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(known))}"
        raise ConfigError(f"{file}: {unknown[0]} is no option; {hint}")
    hints = get_type_hints(config_class)
    return {
        key: _typed(value, hints[key], f"{file}: {key}") for key, value in values.items() if value is not None
    }


def _typed(value: object, hint: Any, where: str) -> object:
    for kind in get_args(hint) or (hint,):
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
