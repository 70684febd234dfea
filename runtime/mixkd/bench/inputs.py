"""What `mkd bench` reads and writes: the options beside those of the measurement itself."""

from dataclasses import dataclass
from pathlib import Path

from mixkd.options import DataInputs, Group, option, required


@dataclass(frozen=True, kw_only=True)
class BenchInputs(DataInputs):
    """The data, the models beside the bundle, the targets and the report's folder."""

    teacher: str | None = option(
        None, "Also measure the teacher: a folder or a hub name.", group=Group.VARIANTS
    )
    student: str | None = option(
        None,
        "The fp32 student: a folder or a hub name.",
        group=Group.VARIANTS,
        otherwise="the fp32 graph that the bundle keeps",
    )
    also: tuple[Path, ...] = option(
        (), "Another bundle with the same labels; may be repeated.", group=Group.VARIANTS
    )
    target: tuple[str, ...] = option(
        ("local",), "Where to measure, see mkd targets; may be repeated.", group=Group.MEASUREMENT
    )
    strict: bool = option(False, "Refuse a measurement that was disturbed.", group=Group.MEASUREMENT)
    output: Path = required("The folder to write; it appears when it is complete.", files=(".toml",))
    overwrite: bool = option(
        False,
        "Replace the output folder, if mkd wrote it and it holds nothing else.",
        group=Group.OUTPUT,
        files=(),
    )
