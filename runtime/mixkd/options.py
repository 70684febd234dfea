"""Command-line options that several stages share, so that `--data` reads the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from mixkd.texts import Columns

Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="A folder with train/validation/test files, one file (.tsv .csv .jsonl .parquet), "
        "a built-in name (clinc150) or a hub name (org/name[:config]).",
    ),
]
TextColumn = Annotated[str, typer.Option(help="The column of the text.")]
Text2Column = Annotated[str | None, typer.Option(help="The column of the second text, for pairs [text2].")]
LabelColumn = Annotated[str | None, typer.Option(help="The column of the label [label].")]
Output = Annotated[Path, typer.Option(help="The folder to write; whole or absent.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the output folder holds.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def columns(text: str, text2: str | None, label: str | None) -> Columns:
    """Return the columns that the three options name."""
    return Columns(text=text, text2=text2, label=label)
