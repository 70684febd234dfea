"""The page of all commands, from the app itself."""

import typer.main

from mixkd.cli import app
from mixkd.usage import ORDER, Command

_INTRODUCTION = """# Commands

`mkd COMMAND --help` prints the same. A wrong option, or an input that can't be used, ends a command with one
line on the standard error and an exit code other than 0; nothing is left half-written.

"""


def commands_page() -> str:
    """Return the Markdown: a section for each command, with its options by group."""
    group = typer.main.get_command(app)
    sections = []
    for name in ORDER:
        command = group.commands[name]  # type: ignore[attr-defined]  # a group
        assert isinstance(command, Command)
        sections.append(_section(name, command))
    return _INTRODUCTION + "\n".join(sections)


def _section(name: str, command: Command) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join([f"mkd {name}", *command.collect_usage_pieces(context)])
    lines = [f"## mkd {name}", "", "```text", usage, "```", "", _escaped(command.help or ""), ""]
    for title, rows in command.sections(context).items():
        lines += [f"| {title} | |", "|---|---|"]
        lines += [f"| `{_cell(option)}` | {_cell(_escaped(text))} |" for option, text in rows]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")
