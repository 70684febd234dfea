"""Options from a file: a TOML file, or the `run.json` of an earlier run."""

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import Field, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from mixkd.errors import ConfigError
from mixkd.options import flag_of, option_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def read_config(file: Path | None, *classes: type["DataclassInstance"]) -> dict[str, Any]:
    """Return the options of a TOML file or a `run.json`; hyphens and underscores read the same.

    Raises:
        ConfigError: If the file can't be read, or holds a key that is no option, an option that is given on
            the command line only, or a value of another type.
    """
    if file is None:
        return {}
    values = _values(file)
    knobs = {f.name: f for made in classes for f in fields(made) if f.init}
    hints = {name: hint for made in classes for name, hint in get_type_hints(made).items()}
    for key in values:
        _check_key(file, key, knobs)
    return {
        key: _typed(value, hints[key], f"{file}: {key}") for key, value in values.items() if value is not None
    }


def _values(file: Path) -> dict[str, object]:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            run = json.loads(text)
            values = {**run["inputs"], **run["config"]}
        else:
            values = tomllib.loads(text)
        return {str(key).replace("-", "_"): value for key, value in values.items()}
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise ConfigError(f"{file} can't be read as a config: it is nested too deeply") from error
    except (KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{file} is no run.json of mkd: it has no inputs and config") from error
    except ValueError as error:
        raise ConfigError(f"{file} can't be read as a config: {error}") from error


def _check_key(file: Path, key: str, knobs: Mapping[str, "Field[Any]"]) -> None:
    if key not in knobs:
        near = difflib.get_close_matches(key, knobs, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(knobs))}"
        raise ConfigError(f"{file}: {key} is no option; {hint}")
    suffixes = option_of(knobs[key]).files
    if (".json" if file.suffix == ".json" else ".toml") not in suffixes:
        where = f"on the command line{' or in a TOML file' if '.toml' in suffixes else ''}"
        raise ConfigError(f"{file}: {key} is not taken from this file: give {flag_of(key)} {where}")


def _typed(value: object, hint: Any, where: str) -> object:
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(f"{where} has a null character in it")
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
                raise ConfigError(f"{where} must be one of {', '.join(kind)}, not {value}") from None
    names = " or ".join(kind.__name__ for kind in get_args(hint) or (hint,) if kind is not type(None))
    raise ConfigError(f"{where} must be of type {names}, not {value!r}")
