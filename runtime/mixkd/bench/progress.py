"""How a long measurement tells how far it is."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is done now, how much of it is done, and how much there is; without a text at the end."""


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Show nothing."""
