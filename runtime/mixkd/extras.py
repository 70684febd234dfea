"""Optional packages, and the parts of mixkd that need them: one way to ask, one error if it is missing."""

from importlib import import_module
from typing import Any

from mixkd.errors import MissingExtraError

_GROUP = "mixkd.plugins"


def require(*packages: str, extra: str) -> None:
    """Import packages of an optional extra.

    Args:
        packages: Names to import, such as ``torch``.
        extra: The extra that installs them.

    Raises:
        MissingExtraError: If one of them, or what it needs, isn't installed.
    """
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            # Without the right release beneath it, optimum is there and still can't be imported.
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            raise MissingExtraError(missing or package, extra) from error


def plugin(name: str, *, extra: str) -> Any:
    """Return what a later stage provides under an entry point of the group ``mixkd.plugins``.

    The runtime imports no later stage. Where it can use one, such as for datasets of the hub, it asks for the
    object by name, and the package that provides it says so in its pyproject.toml.

    Args:
        name: The entry point's name.
        extra: The extra that installs what it needs.

    Raises:
        MissingExtraError: If it isn't installed, or a package it needs isn't.
    """
    from importlib.metadata import entry_points  # 15 ms that `mkd --help` need not wait for

    found = entry_points(group=_GROUP, name=name)
    if not found:
        raise MissingExtraError(f"mixkd[{extra}]", extra)
    try:
        return next(iter(found)).load()
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or name, extra) from error
