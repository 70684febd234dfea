"""What a student's layers keep of its teacher's neurons and heads, for `export.json` and the card."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixkd.compress.families import family_of
from mixkd.compress.narrowing import NARROWED_FROM
from mixkd.export.dead_heads import used_heads

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """What was removed from each layer of a student.

    Attributes:
        neurons: Feed-forward neurons of a layer.
        removed_neurons: Those that its teacher's layers have beside them.
        heads: Attention heads of each layer in the graph; where layers share their weights, of each of those.
        removed_heads: Those that its teacher's layers have beside them.
    """

    neurons: int
    removed_neurons: int
    heads: tuple[int, ...]
    removed_heads: tuple[int, ...]

    def describe(self) -> str:
        """Return the numbers as a sentence."""
        parts = [f"{self.neurons} of {self.neurons + self.removed_neurons} neurons"] * bool(
            self.removed_neurons
        )
        if any(self.removed_heads):
            kept = ", ".join(map(str, dict.fromkeys(self.heads) if len(set(self.heads)) == 1 else self.heads))
            parts.append(f"{kept} of {self.heads[0] + self.removed_heads[0]} attention heads")
        return f"Its layers keep {' and '.join(parts)} of the teacher's."


def narrowed_parts(model: "PreTrainedModel") -> Narrowed | None:
    """Return what was removed from a student; None where that is nothing, or isn't known."""
    family, whole = family_of(model), getattr(model.config, NARROWED_FROM, None)
    sizes = [whole.get(name) for name in ("ffn", "heads")] if isinstance(whole, dict) else []
    ffn, most = (size if isinstance(size, int) else None for size in sizes or (None, None))
    if family is None or ffn is None or most is None:
        return None
    neurons, heads = getattr(model.config, family.width), tuple(map(len, used_heads(model)))
    found = Narrowed(
        neurons=neurons,
        removed_neurons=ffn - neurons,
        heads=heads,
        removed_heads=tuple(most - kept for kept in heads),
    )
    return found if found.removed_neurons or any(found.removed_heads) else None
