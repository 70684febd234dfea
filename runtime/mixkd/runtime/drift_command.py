"""The command drift."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mixkd.console import answer
from mixkd.errors import DriftError
from mixkd.options import DataInputs, Group, option
from mixkd.parameters import Json, with_options
from mixkd.usage import add_command


def register(app: typer.Typer) -> None:
    """Add the command to `mkd`."""
    add_command(app, "drift", drift)


@dataclass(frozen=True, kw_only=True)
class DriftConfig:
    """The options of `mkd drift`."""

    split: str | None = option(
        None, "The split of the data to compare.", group=Group.DATA, otherwise="all of them"
    )
    fail: bool = option(
        False, "End with exit code 5 where the texts drift, for a scheduled check.", group=Group.ANSWER
    )


@with_options(inputs=DataInputs, config=DriftConfig)
def drift(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A bundle that mkd export wrote with --data.")
    ],
    *,
    inputs: DataInputs,
    config: DriftConfig,
    as_json: Json = False,
) -> None:
    """Compare new texts with those that the bundle was measured on: labels, scores, lengths, unknown pieces.

    They need no labels. The bundle holds histograms of its texts, and no text.
    """
    from mixkd.runtime.drift import drift as compare

    found = compare(bundle, inputs.open(), split=config.split)
    lines = [f"{found.texts} texts against {found.reference_texts}:"]
    for each in found.differences:
        verdict = "drifts" if each.drifts else "as before"
        lines.append(f"  {each.of:8} {verdict:9}  {each.size:6.1%} beyond chance, p {each.p:.4f}")
    answer({"drifts": found.found, "drift": found}, *lines, as_json=as_json)
    if found.found and config.fail:
        names = ", ".join(each.of for each in found.differences if each.drifts)
        raise DriftError(f"the texts drift from those that {bundle} was measured on: {names}")
