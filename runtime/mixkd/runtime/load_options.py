"""The arguments of `Classifier.load`, checked, and kept so that a pickle can repeat them."""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from mixkd.errors import ConfigError
from mixkd.runtime.bundle import OpenBundle, Trust, opened_bundle
from mixkd.runtime.presets import SETTINGS, Preset, Settings


class LoadArguments(TypedDict, total=False):
    """The arguments of `Classifier.load` beside the bundle, as a function takes them that hands them on."""

    threads: int | None
    preset: Preset | Literal["balanced", "low-memory", "throughput"]
    threshold: float | None
    abstain_label: str | None
    verify: bool
    expect_sha256: str | None
    verify_key: str | Path | None
    timeout_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What an app asked for; see `Classifier.load`."""

    threads: int | None
    preset: Preset | str
    threshold: float | None
    abstain_label: str | None
    verify: bool
    trust: Trust
    timeout_s: float | None

    def __post_init__(self) -> None:
        if self.preset not in tuple(Preset):
            raise ConfigError(f"there is no preset {self.preset!r}: give one of {', '.join(Preset)}")
        if self.threads is not None and (not is_whole(self.threads) or self.threads < 1):
            raise ConfigError(f"threads is {self.threads!r}: give a whole number from 1 on, or None")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold!r}: give a probability from 0 to 1, or None")
        if self.timeout_s is not None and not 0 < self.timeout_s < math.inf:
            raise ConfigError(f"timeout_s is {self.timeout_s!r}: give seconds above 0, or None")
        if self.trust != Trust() and not self.verify:
            raise ConfigError("verify=False checks no hash: leave it out with expect_sha256 or verify_key")

    def open(self, folder: Path) -> AbstractContextManager[OpenBundle]:
        """Open a bundle as these options say."""
        return opened_bundle(folder, verify=self.verify, lean=self.settings.lean_hash, trust=self.trust)

    @property
    def settings(self) -> Settings:
        """What the preset stands for."""
        return SETTINGS[Preset(self.preset)]


def is_whole(value: object) -> bool:
    """Tell whether a value is a whole number, and not true or false."""
    return isinstance(value, int) and not isinstance(value, bool)
