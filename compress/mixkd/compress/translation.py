"""The options of `mkd augment`."""

from dataclasses import dataclass
from pathlib import Path

from mixkd.compress.inputs import Selection
from mixkd.options import DataInputs, Group, option, required
from mixkd.task import DEFAULT_LENGTH, LEAST_LENGTH


@dataclass(frozen=True, kw_only=True)
class AugmentInputs(DataInputs):
    """What `mkd augment` reads and writes."""

    output: Path = required(
        "The file to write (.jsonl .tsv .csv); it appears when it is complete.", files=(".toml",)
    )
    overwrite: bool = option(False, "Replace the output file.", group=Group.OUTPUT, files=())
    resume: bool = option(False, "Continue an interrupted run.", group=Group.OUTPUT, files=(".toml",))


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Selection):
    """The options of a back-translation."""

    forward: str = option(
        "Helsinki-NLP/opus-mt-en-de",
        "The model that translates from the language of the texts: a folder or a hub name.",
        group=Group.TRANSLATION,
    )
    backward: str = option(
        "Helsinki-NLP/opus-mt-de-en",
        "The model that translates back: a folder or a hub name.",
        group=Group.TRANSLATION,
    )
    forward_prefix: str = option(
        "",
        "A prefix that the forward model needs before each text, such as '>>fra<<' or "
        "'translate English to German:'.",
        group=Group.TRANSLATION,
    )
    backward_prefix: str = option(
        "", "A prefix that the backward model needs before each text.", group=Group.TRANSLATION
    )
    batch_size: int = option(32, "Texts per batch.", group=Group.TRANSLATION, least=1)
    max_length: int = option(
        DEFAULT_LENGTH,
        "Tokens per text and translation; longer ones are truncated.",
        group=Group.TRANSLATION,
        least=LEAST_LENGTH,
    )
    beams: int = option(1, "Beams of the beam search.", group=Group.TRANSLATION, least=1)
    temperature: float | None = option(
        None,
        "Sample the translation at this temperature.",
        group=Group.TRANSLATION,
        otherwise="take the most probable one",
        above=0,
    )
