"""The accuracy budget: int8 candidates are measured one after the other until one loses little enough.

The climb, cheapest answer first: the preferred recipe; the same with its most sensitive parts (products and
tables) back in fp32, as many as it takes up to half of them; the other recipes, each in the same two steps.
Which parts are sensitive is measured: each is quantized alone, and what that does to the answers decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx

from mixkd.errors import BudgetError
from mixkd.runtime.bench.quality import divergence
from mixkd.runtime.bundle import Task

from .config import ExportConfig, Recipe, TableFormat
from .quantize import Quantized, quantize
from .verify import Judge, Logits

SENSITIVITY_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate that was measured.

    Attributes:
        recipe: How it was quantized.
        kept: The products and tables that stayed in fp32.
        score: The headline metric, a fraction of one.
        drop_points: What it loses against the PyTorch student, in points.
        agreement: Share of texts answered as the PyTorch student answers them.
    """

    recipe: Recipe
    kept: tuple[str, ...]
    score: float
    drop_points: float
    agreement: float

    def as_json(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that is shipped, and all that were measured before it."""

    quantized: Quantized
    recipe: Recipe
    kept: tuple[str, ...]
    trials: tuple[Trial, ...]


def choose(
    fp32: onnx.ModelProto, config: ExportConfig, judge: Judge, *, progress: Callable[[str], None]
) -> Choice:
    """Return the first candidate within `config.max_drop`.

    Args:
        fp32: The rewritten graph.
        config: The preferred recipe, the tables' format, the budget in points.
        judge: The texts to choose on.
        progress: Told what is measured.

    Raises:
        BudgetError: If no candidate stays within the budget; the message is the account.
    """
    assert config.max_drop is not None, "choose is for a budget"
    trials: list[Trial] = []
    for recipe, kept in _climb(fp32, config, judge, progress):
        quantized = quantize(fp32, recipe, tables=config.embeddings, keep=kept)
        logits = judge.answer(quantized.model, batch_tokens=1)
        score = judge.score(logits)
        trials.append(
            Trial(
                recipe=recipe,
                kept=kept,
                score=score,
                drop_points=100 * (judge.student_score - score),
                agreement=judge.agreement(logits),
            )
        )
        progress(f"measured {_name(trials[-1])}: {trials[-1].drop_points:+.2f} points lost")
        if trials[-1].drop_points <= config.max_drop:
            return Choice(quantized, recipe, kept, tuple(trials))
    best = min(trials, key=lambda trial: trial.drop_points)
    raise BudgetError(
        f"no int8 of this student stays within {config.max_drop:g} points of its "
        f"{judge.student_score:.2%} on {judge.examples.split}: {len(trials)} candidates lost "
        f"{best.drop_points:.2f} points or more (the best: {_name(best)}); "
        "raise --max-drop, or export with --no-int8"
    )


def _climb(
    fp32: onnx.ModelProto, config: ExportConfig, judge: Judge, progress: Callable[[str], None]
) -> Iterator[tuple[Recipe, tuple[str, ...]]]:
    for recipe in (config.recipe, *(r for r in Recipe if r is not config.recipe)):
        yield recipe, ()
        progress(f"measuring what the recipe {recipe} hurts most")
        ranked = rank_sensitive(fp32, recipe, config.embeddings, judge, seed=config.seed)
        count = 1
        while count <= len(ranked) // 2:
            yield recipe, tuple(ranked[:count])
            count *= 2


def rank_sensitive(
    fp32: onnx.ModelProto, recipe: Recipe, tables: TableFormat, judge: Judge, *, seed: int
) -> list[str]:
    """Return the products and tables, the one whose quantization alone changes the answers most first."""
    whole = quantize(fp32, recipe, tables=tables)
    names = whole.products + whole.tables
    rng = np.random.default_rng(seed)
    count = len(judge.examples.texts)
    rows = sorted(rng.choice(count, min(SENSITIVITY_ROWS, count), replace=False).tolist())
    reference = judge.reference[rows]
    damage = {}
    for name in names:
        others = [other for other in names if other != name]
        alone = quantize(fp32, recipe, tables=tables, keep=others)
        damage[name] = _damage(judge.answer(alone.model, batch_tokens=1, rows=rows), reference, judge)
    return sorted(names, key=lambda name: -damage[name])


def _damage(logits: Logits, reference: Logits, judge: Judge) -> float:
    if judge.examples.task is Task.REGRESSION:
        return float(np.square(logits - reference).mean())
    wide = np.asarray(reference, np.float64), np.asarray(logits, np.float64)
    return float(divergence(*wide, judge.examples.task).mean())


def _name(trial: Trial) -> str:
    return f"{trial.recipe} with {len(trial.kept)} parts in fp32" if trial.kept else str(trial.recipe)
