"""The commands of the runtime stage."""

import typer


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
