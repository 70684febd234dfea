"""The help pages of `mkd`: options in named groups, commands in the order of the work, nothing cut short."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from mixkd.console import say
from mixkd.options import Group

ORDER = (
    *("check", "finetune", "augment", "distill", "export", "inspect", "predict", "calibrate", "drift"),
    *("sign", "push", "bench", "compare", "targets", "search", "quickstart"),
)
"""The commands in the order in which they are used."""


class Command(TyperCommand):
    """A command whose help shows its options by group."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, which prints through the console."""
        return _printed(super().get_help_option(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line; an argument that must be given has no braces around it."""
        return [piece.removeprefix("{").removesuffix("}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then a section per group."""
        for name, rows in self.sections(ctx).items():
            with formatter.section(name):
                formatter.write_dl(rows)

    def sections(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Return what the help says of each parameter, by section, in the order of the sections."""
        found: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                name, text = record
                # The section says it.
                found.setdefault(_section(param), []).append((name, text.removesuffix("[required]").rstrip()))
        return {name: found[name] for name in sorted(found, key=_SECTIONS.index)}


class Commands(TyperGroup):
    """All commands, in the order of the work, each with the whole first sentence of its help."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, which prints through the console."""
        return _printed(super().get_help_option(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the work."""
        return sorted(self.commands, key=ORDER.index)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line or more per command."""
        rows = [(name, self._first_paragraph(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _first_paragraph(self, name: str) -> str:
        return " ".join((self.commands[name].help or "").split("\n\n")[0].split())


def add_command(app: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """Add a function to `mkd` as a command."""
    app.command(name, cls=Command)(function)


_SECTIONS = ("Arguments", *map(str, Group))


def _printed(option: Any) -> Any:
    def show(ctx: Any, _param: Any, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            say(*ctx.get_help().split("\n"))
            ctx.exit()

    if option is not None:
        option.callback = show
    return option


def _section(param: Any) -> str:
    if param.param_type_name == "argument":
        return _SECTIONS[0]
    return str(getattr(param, "rich_help_panel", None) or Group.OTHER)
