"""The accuracy budget: int8 candidates are measured in order until one is within it.

1. The recipes that were asked for. If there are several, the fastest one within the budget is taken.
2. If the tables have 4 bits and no candidate is within the budget: the same with 8-bit tables.
3. Each recipe, also those that weren't asked for, with its most sensitive parts (matrix products and tables)
   kept in fp32: 1, 2, 4, ... of them, up to half.

How sensitive a part is, is measured: it is quantized alone, and the change of the outputs counts.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from mixkd.bench.report.quality import divergence
from mixkd.errors import BudgetError
from mixkd.export.config import ExportConfig, Recipe, TableFormat
from mixkd.export.int8.quantize import Quantized, Ranges, quantize
from mixkd.export.int8.speed import measure_latencies_ms
from mixkd.export.judge.judge import Judge, Logits
from mixkd.metrics import format_metric
from mixkd.task import Task

SENSITIVITY_ROWS = 200
_FALLBACK = {TableFormat.INT4: TableFormat.INT8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate that was measured.

    Attributes:
        recipe: How it was quantized.
        tables: The format of the embedding tables.
        kept: The products and tables that stayed in fp32.
        score: The headline metric; a rate is a fraction of one.
        drop_points: 100 times the loss of that metric against the PyTorch student.
        agreement: Share of texts that get the PyTorch student's answer.
        latency_ms: Time for one text on one thread; None where there was one recipe.
    """

    recipe: Recipe
    tables: TableFormat
    kept: tuple[str, ...]
    score: float
    drop_points: float
    agreement: float
    latency_ms: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that was chosen, and all that were measured."""

    quantized: Quantized
    recipe: Recipe
    kept: tuple[str, ...]
    trials: tuple[Trial, ...]


class Quantizer:
    """Quantizes one graph in different ways."""

    def __init__(self, fp32: onnx.ModelProto, tables: TableFormat, calibrate: Callable[[], Ranges]) -> None:
        """Keep the graph.

        Args:
            fp32: The rewritten graph.
            tables: The format of the embedding tables.
            calibrate: Measures the ranges of the activations; called once, for the recipe `static`.
        """
        self.tables = tables
        self._fp32, self._calibrate = fp32, calibrate

    def quantize(self, recipe: Recipe, keep: Collection[str] = ()) -> Quantized:
        """Return the graph quantized by a recipe, except the products and tables to keep in fp32."""
        ranges = self._ranges if recipe is Recipe.STATIC else None
        return quantize(self._fp32, recipe, tables=self.tables, keep=keep, ranges=ranges)

    @cached_property
    def _ranges(self) -> Ranges:
        return self._calibrate()


def choose(
    quantizer: Quantizer, config: ExportConfig, judge: Judge, *, tell: Callable[[str], None]
) -> Choice:
    """Return the first candidate within the budget, or the fastest of several recipes within it.

    Args:
        quantizer: The graph; its table format is 8 bits afterwards if 4 bits weren't within the budget.
        config: The recipes, and the budget in points.
        judge: The texts that candidates are measured on.
        tell: Called with each result.

    Raises:
        BudgetError: If no candidate is within the budget.
    """
    budget = config.budget
    assert budget is not None, "choose is for a budget"
    trials: list[Trial] = []
    for tables in dict.fromkeys((quantizer.tables, _FALLBACK.get(quantizer.tables, quantizer.tables))):
        quantizer.tables = tables
        found = _best_plain(quantizer, config.recipes, budget, judge, trials, tell)
        if found is not None:
            return found
    for recipe, kept in _climb(quantizer, config, judge, tell):
        quantized, trial = _try(quantizer, recipe, kept, judge, tell)
        trials.append(trial)
        if trial.drop_points <= budget:
            return Choice(quantized, recipe, kept, tuple(trials))
    best = min(trials, key=lambda trial: trial.drop_points)
    raise BudgetError(
        f"no int8 graph is within {budget:g} points of the student's "
        f"{format_metric(judge.metric, judge.student_score)} on {judge.examples.split}: "
        f"{len(trials)} candidates lost {best.drop_points:.2f} points or more (the best: {_name(best)}); "
        "raise --max-drop, or export with --no-int8"
    )


def _best_plain(
    quantizer: Quantizer,
    recipes: tuple[Recipe, ...],
    budget: float,
    judge: Judge,
    trials: list[Trial],
    tell: Callable[[str], None],
) -> Choice | None:
    # The recipes with nothing kept in fp32: the fastest one within the budget, if any.
    made = [_try(quantizer, recipe, (), judge, tell) for recipe in recipes]
    times: list[float | None] = [None]
    if len(recipes) > 1:
        tell("timing the candidates")
        times = [*measure_latencies_ms([quantized.model for quantized, _ in made], judge)]
    trials += [replace(trial, latency_ms=time) for (_, trial), time in zip(made, times, strict=True)]
    within = [i for i, (_, trial) in enumerate(made) if trial.drop_points <= budget]
    if not within:
        return None
    best = min(within, key=lambda i: times[i] or 0.0)
    return Choice(made[best][0], recipes[best], (), tuple(trials))


def _try(
    quantizer: Quantizer,
    recipe: Recipe,
    kept: tuple[str, ...],
    judge: Judge,
    tell: Callable[[str], None],
) -> tuple[Quantized, Trial]:
    quantized = quantizer.quantize(recipe, kept)
    logits = judge.answer(quantized.model, batch_tokens=1)
    score = judge.score(logits)
    trial = Trial(
        recipe=recipe,
        tables=quantizer.tables,
        kept=kept,
        score=score,
        drop_points=100 * (judge.student_score - score),
        agreement=judge.agreement(logits),
    )
    tell(f"measured {_name(trial)}: {trial.drop_points:+.2f} points lost")
    return quantized, trial


def _climb(
    quantizer: Quantizer, config: ExportConfig, judge: Judge, tell: Callable[[str], None]
) -> Iterator[tuple[Recipe, tuple[str, ...]]]:
    for recipe in dict.fromkeys((*config.recipes, *Recipe)):
        if recipe not in config.recipes:
            yield recipe, ()
        tell(f"measuring which parts recipe {recipe} changes most")
        ranked = rank_sensitive(quantizer, recipe, judge, seed=config.seed)
        count = 1
        while count <= len(ranked) // 2:
            yield recipe, tuple(ranked[:count])
            count *= 2


def rank_sensitive(quantizer: Quantizer, recipe: Recipe, judge: Judge, *, seed: int) -> list[str]:
    """Return the products and tables, first the one whose quantization alone changes the outputs most."""
    whole = quantizer.quantize(recipe)
    names = whole.products + whole.tables
    rng = np.random.default_rng(seed)
    count = len(judge.examples.texts)
    rows = sorted(rng.choice(count, min(SENSITIVITY_ROWS, count), replace=False).tolist())
    reference = judge.reference[rows]
    damage = {}
    for name in names:
        others = [other for other in names if other != name]
        alone = quantizer.quantize(recipe, others)
        damage[name] = _damage(judge.answer(alone.model, batch_tokens=1, rows=rows), reference, judge)
    return sorted(names, key=lambda name: -damage[name])


def _damage(logits: Logits, reference: Logits, judge: Judge) -> float:
    if judge.examples.task is Task.REGRESSION:
        return float(np.square(logits - reference).mean())
    wide = np.asarray(reference, np.float64), np.asarray(logits, np.float64)
    return float(divergence(*wide, judge.examples.task).mean())


def _name(trial: Trial) -> str:
    tables = f" with {trial.tables} tables" if trial.tables in _FALLBACK else ""
    return f"{trial.recipe}{tables}" + (f" with {len(trial.kept)} parts in fp32" if trial.kept else "")
