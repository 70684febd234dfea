"""The commands of the compress stage."""

import typer


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
