"""What the objective is made of: its terms, their weights in each named method, and how pairs are mixed.

Nothing heavy is imported here: the options of the command line are declared with these names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mixkd.errors import ConfigError


class Term(StrEnum):
    """A term of the objective; `losses` has the function of each beside its equation."""

    MLE = "mle"
    SM = "sm"
    TMKD = "tmkd"
    KD = "kd"
    HIDDEN = "hidden"


class Method(StrEnum):
    """Named weightings of the one objective."""

    FINETUNE = "finetune"
    KD = "kd"
    PKD = "pkd"
    TMKD = "tmkd"
    MIXKD = "mixkd"


class Distance(StrEnum):
    """How the student's outputs are compared with the teacher's."""

    MSE = "mse"
    KL = "kl"


@dataclass(frozen=True, slots=True)
class Weights:
    """The α of every term; 0 where a term isn't named.

    Args:
        alphas: By term.

    Raises:
        ConfigError: If one is negative, or none is above 0.
    """

    alphas: Mapping[Term, float]

    def __post_init__(self) -> None:
        if negative := [f"--alpha-{term}" for term, value in self.alphas.items() if not value >= 0]:
            raise ConfigError(f"{' and '.join(negative)} must be at least 0")
        if not any(self.alphas.values()):
            raise ConfigError("every weight of the objective is 0: set one of --alpha-...")

    def __getitem__(self, term: Term) -> float:
        return self.alphas.get(term, 0.0)

    @property
    def mixed(self) -> bool:
        """Whether a term needs mixed examples."""
        return self[Term.SM] > 0 or self[Term.TMKD] > 0

    @property
    def distilled(self) -> bool:
        """Whether a term needs the teacher."""
        return self[Term.TMKD] > 0 or self[Term.KD] > 0 or self[Term.HIDDEN] > 0


METHODS: Mapping[Method, Weights] = {
    Method.FINETUNE: Weights({Term.MLE: 1.0}),
    Method.KD: Weights({Term.MLE: 1.0, Term.KD: 1.0}),
    Method.PKD: Weights({Term.MLE: 1.0, Term.KD: 1.0, Term.HIDDEN: 10.0}),
    Method.TMKD: Weights({Term.MLE: 1.0, Term.TMKD: 1.0}),
    Method.MIXKD: Weights({Term.MLE: 1.0, Term.SM: 1.0, Term.TMKD: 1.0}),
}
"""The weights of every method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """How pairs are drawn.

    Attributes:
        beta: Both parameters of the Beta distribution of λ, above 0.
        per_batch: One λ for a whole batch instead of one per pair.
        ratio: Mixed examples per original one, above 0.
    """

    beta: float = 0.4
    per_batch: bool = False
    ratio: float = 1.0
