"""Tables and lists from the code and from the JSON that the benchmarks wrote, for marks in the pages."""

import json
import re

from mixkd.bench.config import BenchConfig
from mixkd.bench.measure import method_of
from mixkd.compress.weights import METHODS, Term
from scripts.site.repository import ROOT

_PROCESSORS = {
    "local": "the machine that exported it (AVX512-VNNI)",
    "emulate:aarch64": "Cortex-A72 (aarch64)",
    "emulate:haswell": "Haswell (AVX2, no VNNI)",
    "emulate:nehalem": "Nehalem (SSE4.2)",
}
_MARK = re.compile(r"^<!-- table: ([a-z_]+) -->$", re.MULTILINE)


def with_tables(page: str) -> str:
    """Return a page with a table in place of each mark, such as `<!-- table: other_processors -->`."""
    return _MARK.sub(lambda mark: _TABLES[mark[1]](), page)


def other_processors() -> str:
    """Return the table of one bundle on several processors."""
    body = json.loads((ROOT / "benchmarks" / "other_processors.json").read_text(encoding="utf-8"))
    found = {(row["target"], row["variant"]): row for row in body["rows"]}
    lines = [
        "| processor | texts | labels equal to fp32 on the first machine: fp32 | int8 "
        "| largest logit difference from the first machine: fp32 | int8 |",
        "|---|---|---|---|---|---|",
    ]
    for target, name in _PROCESSORS.items():
        fp32, int8 = (found[target, f"student-{kind}"] for kind in ("fp32", "int8"))
        cells = [
            str(int8["texts"]),
            *(_share(row["agreement"]) for row in (fp32, int8)),
            *(_difference(row["largest_logit_difference"]) for row in (fp32, int8)),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def methods() -> str:
    """Return the weights of every named method."""
    lines = ["| `--method` | " + " | ".join(map(str, Term)) + " |", "|---" * (len(Term) + 1) + "|"]
    for method, weights in METHODS.items():
        lines.append(f"| `{method}` | " + " | ".join(f"{weights[term]:g}" for term in Term) + " |")
    return "\n".join(lines)


def method() -> str:
    """Return how a report says it was measured, with the default options."""
    sentences = method_of(BenchConfig(), split="test", rows="all")
    return "\n".join(f"> {sentence}\n>" for sentence in sentences).removesuffix("\n>")


_TABLES = {"other_processors": other_processors, "methods": methods, "method": method}


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.4g} %"


def _difference(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
