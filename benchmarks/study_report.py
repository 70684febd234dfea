"""The tables of the study in README.md, made from its lines."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.sets import SETS

README = Path(__file__).with_name("README.md")
BASE = "kd"
NO_LINES = "Nothing has been run yet."

Line = Mapping[str, Any]
Scores = dict[str, dict[str, dict[int, float]]]
"""Set to method to seed to score."""


def write_between(name: str, body: str) -> None:
    """Replace what stands between the marks of that name in README.md."""
    before, _, after = _parts(name)
    README.write_text(f"{before}\n\n{body.strip()}\n\n{after}", encoding="utf-8")


def read_between(name: str) -> str:
    """Return what stands there."""
    return _parts(name)[1].strip()


def _parts(name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}: written by its table command -->", f"<!-- {name}: end -->"
    before, rest = README.read_text(encoding="utf-8").split(begin)
    body, after = rest.split(end)
    return before + begin, body, end + after


def tables(lines: Sequence[Line]) -> str:
    """Return every table: one for each amount and student, and what they say together."""
    groups: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for line in lines:
        groups[line["cell"]["amount"], line["cell"]["layers"]].append(line)
    return "\n".join(_group(*key, groups[key]) for key in sorted(groups)) or NO_LINES


def _group(amount: str, layers: int, lines: Sequence[Line]) -> str:
    scores: Scores = defaultdict(lambda: defaultdict(dict))
    teachers: dict[str, float] = {}
    for line in lines:
        cell = line["cell"]
        scores[cell["data"]][cell["method"]][cell["seed"]] = line["score"]
        teachers[cell["data"]] = line["teacher"][line["split"]]
    methods = list(dict.fromkeys(line["cell"]["method"] for line in lines))
    steps, processors = lines[0]["steps"], sorted({line["processor"] for line in lines})
    return "\n".join(
        (
            f"**{layers} layers, {'few texts' if amount == 'little' else 'all texts'}, {steps} steps**, "
            f"mean ± deviation of the seeds ({len(lines)} students; {', '.join(processors)}):",
            "",
            *_means(scores, teachers, methods),
            "",
            f"Difference from `{BASE}` with equal seeds, in points (100 times a correlation), mean and 95 % "
            "interval; seeds won and lost:",
            "",
            *_differences(scores, methods),
            "",
        )
    )


def _means(scores: Scores, teachers: Mapping[str, float], methods: Sequence[str]) -> list[str]:
    rows = [["set", "texts", "teacher", *methods]]
    for name in SETS:
        if name in scores:
            values = [_spread(scores[name][method].values()) for method in methods]
            rows.append([name, SETS[name].about, f"{100 * teachers[name]:.1f}", *values])
    return markdown(rows)


def _differences(scores: Scores, methods: Sequence[str]) -> list[str]:
    others = [method for method in methods if method != BASE]
    rows = [["set", *others]]
    means: dict[str, list[float]] = {method: [] for method in others}
    for name in SETS:
        if name not in scores:
            continue
        row = [name]
        for method in others:
            found = paired(scores[name][method], scores[name][BASE])
            row.append(_difference(found))
            if found:
                means[method].append(statistics.mean(found))
        rows.append(row)
    rows.append(["mean of the sets", *(_difference(means[method]) for method in others)])
    return markdown(rows)


def paired(method: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    """Return the differences, in points, over the seeds that both have."""
    return [100 * (method[seed] - base[seed]) for seed in sorted(method.keys() & base.keys())]


def interval(differences: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of a mean (Student's t); infinite for one value."""
    if len(differences) < 2:
        return math.inf
    factor = float(stats.t.ppf(0.975, len(differences) - 1))
    return factor * statistics.stdev(differences) / math.sqrt(len(differences))


def _difference(differences: Sequence[float]) -> str:
    if not differences:
        return "-"
    won, lost = sum(each > 0 for each in differences), sum(each < 0 for each in differences)
    half = interval(differences)
    shown = f"{statistics.mean(differences):+.2f}" + ("" if half == math.inf else f" ± {half:.2f}")
    return (
        f"{shown} ({won}:{lost})"
        if half == math.inf or abs(statistics.mean(differences)) <= half
        else (f"**{shown}** ({won}:{lost})")
    )


def _spread(values: Iterable[float]) -> str:
    found = [100 * value for value in values]
    if not found:
        return "-"
    return f"{statistics.mean(found):.2f}" + (f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else "")


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines; the first row is its head."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"|{'---|' * len(rows[0])}", *body]
