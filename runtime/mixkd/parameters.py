"""The parameters of `mkd`'s commands: those that several share, and those made of a dataclass's options."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from mixkd.configs import read_config
from mixkd.errors import ConfigError
from mixkd.options import Group, Preset, flag_of, option_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_C = TypeVar("_C", bound="DataclassInstance")
_KEYWORD = inspect.Parameter.KEYWORD_ONLY

Output = Annotated[
    Path,
    typer.Option(help="The folder to write; it appears when it is complete.", rich_help_panel=Group.REQUIRED),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the output folder, if mkd wrote it and it holds nothing else.",
        rich_help_panel=Group.OUTPUT,
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", rich_help_panel=Group.TRAINING)]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON, and nothing else.", rich_help_panel=Group.OUTPUT),
]
_ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A TOML file of options, or the run.json of an earlier run; the command line wins over it.",
        rich_help_panel=Group.OTHER,
    ),
]


def with_options(
    *,
    config_file: bool = False,
    presets: Mapping[str, Preset] | None = None,
    **classes: type["DataclassInstance"],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option per field of some dataclasses; it gets an instance of each, by these names.

    A tuple is an option that may be repeated; a type with a class method `parse` is read by it; one
    of type `int | str` takes a number or a word.

    Args:
        config_file: Add `--config`: a file that gives what the command line leaves out, see `read_config`.
        presets: Flags by name, at most one of them given; what they set shows in the options' help.
        classes: The dataclasses, by the name of the command's parameter.
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
        parameters = [
            *(p.replace(kind=_KEYWORD) for p in signature.parameters.values() if p.name not in classes),
            *(_flag(name, preset) for name, preset in presets.items()),
            *(_parameter(f, hints[f.name], presets) for f in knobs),
        ]
        if config_file:
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
        raise ConfigError(f"{' and '.join(map(flag_of, asked))} exclude each other: give one")
    return dict(presets[asked[0]].values) if asked else {}


def _flag(name: str, preset: Preset) -> inspect.Parameter:
    info = typer.Option(flag_of(name), help=preset.help, rich_help_panel=Group.MEASUREMENT)
    return inspect.Parameter(name, _KEYWORD, default=False, annotation=Annotated[bool, info])


def _parameter(knob: "Field[Any]", hint: Any, presets: Mapping[str, Preset]) -> inspect.Parameter:
    """Return the option of one field; absent from the command line it is None, or no values."""
    about = option_of(knob)
    names = (about.flag,) if about.flag else ()
    several = get_origin(hint) is tuple
    kind: Any = get_args(hint)[0] if several else hint
    parse = getattr(kind, "parse", None)
    shown = "<str>" if parse else None
    if {int, str} <= set(get_args(kind)):  # such as 384 or auto
        kind, parse, shown = str, _number_or_word, "<int|str>"
    info = typer.Option(
        *names,
        help=about.help + _default(knob, presets),
        show_default=False,
        parser=parse,
        metavar=shown,
        rich_help_panel=Group.REQUIRED if knob.default is MISSING else about.group,
    )
    annotation: Any = Annotated[(list[kind] if several else kind) | None, info]
    return inspect.Parameter(knob.name, _KEYWORD, default=None, annotation=annotation)


def _number_or_word(text: str) -> int | str:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else text


def _default(knob: "Field[Any]", presets: Mapping[str, Preset]) -> str:
    """Return what holds where an option isn't given, in brackets."""
    otherwise = option_of(knob).otherwise
    shown = [f"default: {otherwise}"] if otherwise else []
    if not shown and knob.default not in (MISSING, None, (), "") and knob.default is not False:
        shown = [f"default: {_word(knob.default)}"]
    shown += [
        f"{flag_of(name)}: {_word(p.values[knob.name])}"
        for name, p in presets.items()
        if knob.name in p.values
    ]
    return f" [{'; '.join(shown)}]" if shown else ""


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _instance(made: type[_C], values: dict[str, Any]) -> _C:
    own = {f.name: values[f.name] for f in fields(made) if f.init and f.name in values}
    missing = [f.name for f in fields(made) if f.init and f.default is MISSING and f.name not in own]
    if missing:
        names = " and ".join(map(flag_of, missing))
        raise ConfigError(f"{names} must be given, on the command line or in a --config file")
    return made(**own)
