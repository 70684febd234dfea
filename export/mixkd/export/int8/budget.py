"""The accuracy budget: int8 candidates are measured in order until one is within it.

1. The recipes that were asked for. If there are several, the fastest one within the budget is taken.
2. If the tables have 4 bits and no candidate is within the budget: the same with 8-bit tables.
3. Each recipe, also those that weren't asked for, with its most sensitive parts (matrix products and tables)
   kept in fp32: 1, 2, 4, ... of them, up to half.

How sensitive a part is, is measured: it is quantized alone, and the change of the outputs counts.
"""

from collections.abc import Callable, Iterator, Sequence
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
from mixkd.runtime.predictor import ALONE
from mixkd.task import Task

SENSITIVITY_ROWS = 200
_FALLBACK = {TableFormat.INT4: TableFormat.INT8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """One way to quantize a graph.

    Attributes:
        recipe: How matrix products are quantized.
        tables: The format of the embedding tables.
        kept: The products and tables that stay in fp32.
    """

    recipe: Recipe
    tables: TableFormat
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        tables = f" with {self.tables} tables" if self.tables in _FALLBACK else ""
        return f"{self.recipe}{tables}" + (f" with {len(self.kept)} parts in fp32" if self.kept else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Quantization):
    """A candidate that was measured.

    Attributes:
        score: The headline metric; a rate is a fraction of one.
        drop_points: 100 times the loss of that metric against the PyTorch student.
        agreement: Share of texts that get the PyTorch student's answer.
        latency_ms: Time for one text on one thread; None where there was one recipe.
    """

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
    kept: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()


class Quantizer:
    """Quantizes one graph in different ways."""

    def __init__(self, fp32: onnx.ModelProto, calibrate: Callable[[], Ranges]) -> None:
        """Keep the graph.

        Args:
            fp32: The rewritten graph.
            calibrate: Measures the ranges of the activations; called once, for the recipe `static`.
        """
        self._fp32, self._calibrate = fp32, calibrate

    def quantize(self, candidate: Quantization) -> Quantized:
        """Return the int8 graph of a candidate."""
        recipe, tables, kept = candidate.recipe, candidate.tables, candidate.kept
        ranges = self._ranges if recipe is Recipe.STATIC else None
        return quantize(self._fp32, recipe, tables=tables, keep=kept, ranges=ranges)

    @cached_property
    def _ranges(self) -> Ranges:
        return self._calibrate()


def choose(
    quantizer: Quantizer, config: ExportConfig, judge: Judge, *, tell: Callable[[str], None]
) -> Choice:
    """Return the first candidate within the budget, or the fastest of several recipes within it.

    Args:
        quantizer: The graph.
        config: The recipes, the format of the tables, and the budget in points.
        judge: The texts that candidates are measured on.
        tell: Called with each result.

    Raises:
        BudgetError: If no candidate is within the budget.
    """
    budget, trials = config.budget, list[Trial]()
    assert budget is not None, "choose is for a budget"
    accurate = _FALLBACK.get(config.embeddings, config.embeddings)
    for tables in dict.fromkeys((config.embeddings, accurate)):
        plain = [Quantization(recipe=recipe, tables=tables) for recipe in config.recipes]
        measured = _measure_together(plain, quantizer, judge, tell)
        trials += [trial for _, trial in measured]
        within = [(quantized, trial) for quantized, trial in measured if trial.drop_points <= budget]
        if within:
            quantized, best = min(within, key=lambda found: found[1].latency_ms or 0.0)
            return Choice(quantized, best.recipe, best.kept, tuple(trials))
    for candidate in _with_kept_parts(quantizer, accurate, config, judge, tell):
        quantized, trial = _measure(candidate, quantizer, judge, tell)
        trials.append(trial)
        if trial.drop_points <= budget:
            return Choice(quantized, trial.recipe, trial.kept, tuple(trials))
    best = min(trials, key=lambda trial: trial.drop_points)
    raise BudgetError(
        f"no int8 graph is within {budget:g} points of the student's "
        f"{format_metric(judge.metric, judge.student_score)} on {judge.examples.split}: "
        f"{len(trials)} candidates lost {best.drop_points:.2f} points or more (the best: {best}); "
        "raise --max-drop, or export with --no-int8"
    )


def _measure_together(
    candidates: Sequence[Quantization], quantizer: Quantizer, judge: Judge, tell: Callable[[str], None]
) -> list[tuple[Quantized, Trial]]:
    # Several candidates are timed, too.
    measured = [_measure(candidate, quantizer, judge, tell) for candidate in candidates]
    if len(measured) == 1:
        return measured
    tell("timing the candidates")
    times = measure_latencies_ms([quantized.model for quantized, _ in measured], judge)
    return [(q, replace(trial, latency_ms=time)) for (q, trial), time in zip(measured, times, strict=True)]


def _measure(
    candidate: Quantization, quantizer: Quantizer, judge: Judge, tell: Callable[[str], None]
) -> tuple[Quantized, Trial]:
    quantized = quantizer.quantize(candidate)
    logits = judge.answer(quantized.model, batch_tokens=ALONE)
    score = judge.score(logits)
    trial = Trial(
        **asdict(candidate),
        score=score,
        drop_points=100 * (judge.student_score - score),
        agreement=judge.agreement(logits),
    )
    tell(f"{candidate} lost {trial.drop_points:.2f} points")
    return quantized, trial


def _with_kept_parts(
    quantizer: Quantizer, tables: TableFormat, config: ExportConfig, judge: Judge, tell: Callable[[str], None]
) -> Iterator[Quantization]:
    for recipe in dict.fromkeys((*config.recipes, *Recipe)):
        plain = Quantization(recipe=recipe, tables=tables)
        if recipe not in config.recipes:
            yield plain
        tell(f"measuring which parts recipe {recipe} changes most")
        ranked = rank_sensitive(quantizer, plain, judge, seed=config.seed)
        count = 1
        while count <= len(ranked) // 2:
            yield replace(plain, kept=tuple(ranked[:count]))
            count *= 2


def rank_sensitive(quantizer: Quantizer, plain: Quantization, judge: Judge, *, seed: int) -> list[str]:
    """Return the products and tables, first the one whose quantization alone changes the outputs most.

    Args:
        quantizer: The graph.
        plain: The candidate without kept parts.
        judge: The texts, of which `SENSITIVITY_ROWS` are used.
        seed: Seed of their choice.
    """
    whole = quantizer.quantize(plain)
    names = whole.products + whole.tables
    rng = np.random.default_rng(seed)
    count = len(judge.examples.texts)
    rows = sorted(rng.choice(count, min(SENSITIVITY_ROWS, count), replace=False).tolist())
    reference = judge.reference[rows]
    damage = {}
    for name in names:
        others = tuple(other for other in names if other != name)
        alone = quantizer.quantize(replace(plain, kept=others))
        damage[name] = _damage(judge.answer(alone.model, batch_tokens=ALONE, rows=rows), reference, judge)
    return sorted(names, key=lambda name: -damage[name])


def _damage(logits: Logits, reference: Logits, judge: Judge) -> float:
    if judge.examples.task is Task.REGRESSION:
        return float(np.square(logits - reference).mean())
    wide = np.asarray(reference, np.float64), np.asarray(logits, np.float64)
    return float(divergence(*wide, judge.examples.task).mean())
