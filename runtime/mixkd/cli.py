"""The command `mkd`: gathers the stages' commands; nothing heavy is imported before a command runs."""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

import mixkd.bench.commands
import mixkd.compress.commands
import mixkd.export.commands
import mixkd.pipeline.commands
import mixkd.runtime.commands
import mixkd.runtime.drift_command
from mixkd.console import say, warn
from mixkd.errors import MkdError, OldReleaseWarning
from mixkd.usage import Commands
from mixkd.version import __version__

app = typer.Typer(
    name="mkd",
    help="Distil a text classifier with MixKD, export it to int8 ONNX, measure it, embed it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    cls=Commands,
    rich_markup_mode=None,
)


def _print_version(value: bool) -> None:
    if value:
        say(f"mixkd {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _commands in (
    mixkd.compress.commands,
    mixkd.export.commands,
    mixkd.runtime.commands,
    mixkd.runtime.drift_command,
    mixkd.pipeline.commands,
    mixkd.bench.commands,
):
    _commands.register(app)


def main() -> None:
    """Run `mkd`; an `MkdError` becomes one line on stderr, anything else keeps its traceback."""
    # Packages that import onnxruntime on their own, optimum among them, would start its telemetry.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    _occupy_closed_streams()
    with warnings.catch_warnings():
        warnings.showwarning = _shower(warnings.showwarning)
        try:
            app()
        except MkdError as error:
            warn(f"mkd: {error}")
            sys.exit(error.exit_code)


def _shower(others: Callable[..., None]) -> Callable[..., None]:
    """Return what shows a warning: mixkd's own as one line, any other as `others` does."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, OldReleaseWarning):
            warn(f"mkd: {message}")
        else:
            others(message, category, *where, **more)

    return show


def _occupy_closed_streams() -> None:
    """Give the numbers of closed streams to /dev/null: a file opened later must not get what is printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


if __name__ == "__main__":
    main()
