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
from mixkd.export.judge.recall import RecallBudget, RecallDrop
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
        recall_drop: The label that loses most recall; None without `--max-recall-drop`.
        latency_ms: Time for one text on one thread; None where there was one recipe.
    """

    score: float
    drop_points: float
    agreement: float
    recall_drop: RecallDrop | None = None
    latency_ms: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that was chosen, all that were measured, and what could not be judged."""

    quantized: Quantized
    recipe: Recipe
    kept: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    note: str | None = None


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


class _Scale:
    """Measures candidates, and says which are within the budgets.

    Args:
        quantizer: The graph.
        config: The budgets.
        judge: The texts that candidates are measured on.
        tell: Called with each result.
    """

    def __init__(
        self, quantizer: Quantizer, config: ExportConfig, judge: Judge, tell: Callable[[str], None]
    ) -> None:
        assert config.budget is not None, "without a budget nothing is measured"
        self._quantizer, self._judge, self._tell = quantizer, judge, tell
        self.points = config.budget
        recall = config.max_recall_drop
        self.recall = None if recall is None else RecallBudget(judge, recall)
        self.recall_points = recall
        self.trials: list[Trial] = []

    def measure(self, candidate: Quantization) -> tuple[Quantized, Trial]:
        """Quantize a candidate and ask it."""
        quantized = self._quantizer.quantize(candidate)
        logits = self._judge.answer(quantized.model, batch_tokens=ALONE)
        score = self._judge.score(logits)
        trial = Trial(
            **asdict(candidate),
            score=score,
            drop_points=100 * (self._judge.student_score - score),
            agreement=self._judge.agreement(logits),
            recall_drop=self.recall.worst(logits) if self.recall else None,
        )
        worst = trial.recall_drop
        recall = f", {worst.label} {worst.points:.2f} points of recall" if worst else ""
        self._tell(f"{candidate} lost {trial.drop_points:.2f} points{recall}")
        self.trials.append(trial)
        return quantized, trial

    def measure_together(self, candidates: Sequence[Quantization]) -> list[tuple[Quantized, Trial]]:
        """The same of several candidates, which are timed, too."""
        measured = [self.measure(candidate) for candidate in candidates]
        if len(measured) == 1:
            return measured
        self._tell("timing the candidates")
        times = measure_latencies_ms([quantized.model for quantized, _ in measured], self._judge)
        timed = [
            (quantized, replace(trial, latency_ms=time))
            for (quantized, trial), time in zip(measured, times, strict=True)
        ]
        self.trials[-len(timed) :] = [trial for _, trial in timed]
        return timed

    def within(self, trial: Trial) -> bool:
        """Return whether a candidate is within both budgets."""
        return self.excess(trial) <= 0

    def excess(self, trial: Trial) -> float:
        """Return by how many points a candidate is beyond its budgets, the worse of the two."""
        excess = trial.drop_points - self.points
        if trial.recall_drop is not None and self.recall_points is not None:
            excess = max(excess, trial.recall_drop.points - self.recall_points)
        return excess


def choose(
    quantizer: Quantizer, config: ExportConfig, judge: Judge, *, tell: Callable[[str], None]
) -> Choice:
    """Return the first candidate within the budgets, or the fastest of several recipes within them.

    Args:
        quantizer: The graph.
        config: The recipes, the format of the tables, and the budgets in points.
        judge: The texts that candidates are measured on.
        tell: Called with each result.

    Raises:
        BudgetError: If no candidate is within the budgets.
        ConfigError: If no label has enough texts for `--max-recall-drop`.
    """
    scale = _Scale(quantizer, config, judge, tell)
    note = scale.recall.note() if scale.recall else None
    accurate = _FALLBACK.get(config.embeddings, config.embeddings)
    for tables in dict.fromkeys((config.embeddings, accurate)):
        plain = [Quantization(recipe=recipe, tables=tables) for recipe in config.recipes]
        within = [found for found in scale.measure_together(plain) if scale.within(found[1])]
        if within:
            quantized, best = min(within, key=lambda found: found[1].latency_ms or 0.0)
            return Choice(quantized, best.recipe, best.kept, tuple(scale.trials), note)
    for candidate in _with_kept_parts(quantizer, accurate, config, judge, tell):
        quantized, trial = scale.measure(candidate)
        if scale.within(trial):
            return Choice(quantized, trial.recipe, trial.kept, tuple(scale.trials), note)
    raise BudgetError(_refusal(scale, judge))


def _refusal(scale: _Scale, judge: Judge) -> str:
    best = min(scale.trials, key=scale.excess)
    worst = best.recall_drop
    recall = f" and no label beyond {scale.recall_points:g} points of recall" if worst else ""
    lost = f", and {worst.label!r} {worst.points:.2f} points of recall" if worst else ""
    return (
        f"no int8 graph is within {scale.points:g} points of the student's "
        f"{format_metric(judge.metric, judge.student_score)} on {judge.examples.split}{recall}: "
        f"of {len(scale.trials)} candidates the best ({best}) lost {best.drop_points:.2f} points{lost}; "
        f"raise --max-drop{' or --max-recall-drop' if worst else ''}, or export with --no-int8"
    )


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
