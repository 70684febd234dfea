"""Every error that mixkd raises on purpose.

::

    MkdError                 exit code 1: what is wrong, where, and how to mend it, in one line
    ├── ConfigError          an option or a config file asks for something impossible
    ├── DataError            texts or labels can't be read or don't fit together
    ├── ModelError           a teacher or student folder isn't what the stage needs
    ├── TrainingError        a training can't go on: its loss is no longer a finite number
    ├── BundleError          a bundle is damaged, foreign or unsafe
    ├── InputError           an app handed something to the classifier that isn't text
    ├── DeadlineError        an answer took longer than the app allows
    ├── HubError             the hub can't be reached, refuses, or has no such bundle
    ├── OutputError          the result can't be written where it was asked for
    ├── MissingExtraError    a package of an optional extra isn't installed
    ├── MeasureError         a measurement can't be made, or can't be believed
    ├── RegressionError      exit code 4: a report is worse than an older one, beyond noise
    └── BudgetError          exit code 3: no candidate stays within the budget of accuracy, latency or size

One warning is given, `OldReleaseWarning`.
"""

from typing import ClassVar


class MkdError(Exception):
    """Base of all errors a user can cause; the command line prints it as one line."""

    exit_code: ClassVar[int] = 1


class ConfigError(MkdError):
    """An option or a config file asks for something impossible."""


class DataError(MkdError):
    """Texts or labels can't be read, or don't fit together."""


class ModelError(MkdError):
    """A teacher or student folder isn't what the stage needs."""


class TrainingError(MkdError):
    """A training can't go on: its loss or a weight is no longer a finite number."""


class BundleError(MkdError):
    """A bundle is damaged, foreign or unsafe."""


class OldReleaseWarning(UserWarning):
    """A bundle from anybody is about to run in a release of onnxruntime with known memory errors."""


class InputError(MkdError, TypeError):
    """An app handed something to the classifier that isn't text."""


class DeadlineError(MkdError, TimeoutError):
    """An answer took longer than the app allows."""


class HubError(MkdError):
    """The hub can't be reached, refuses, or has no such bundle."""


class OutputError(MkdError):
    """The result can't be written where it was asked for."""


class MissingExtraError(MkdError):
    """A package of an optional extra isn't installed.

    Attributes:
        extra: The extra that brings it, as in ``pip install "mixkd[extra]"``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'this needs the package {package}: pip install "mixkd[{extra}]"')
        self.extra = extra


class MeasureError(MkdError):
    """A measurement can't be made, or can't be believed."""


class BudgetError(MkdError):
    """No candidate stays within the budget it was given: of accuracy, latency or size."""

    exit_code: ClassVar[int] = 3


class RegressionError(MkdError):
    """A report is worse than an older one, beyond noise and what is allowed."""

    exit_code: ClassVar[int] = 4


class DriftError(MkdError):
    """New texts are not like those a bundle was measured on."""

    exit_code: ClassVar[int] = 5


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the error's type where it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
