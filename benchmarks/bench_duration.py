"""How long `mkd bench` itself takes: wall and processor seconds of whole runs, as a user starts them.

python benchmarks/bench_duration.py BUNDLE --data clinc150 --output benchmarks/bench_duration.json
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PRESETS = {"quick": ["--quick"], "standard": [], "full": ["--full"]}


def run_once(bundle: Path, data: str, words: list[str]) -> dict[str, float]:
    """Return the seconds of one run, and the machine's load just before it."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "mixkd.cli", "bench", str(bundle), "--data", data]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*command, "--output", f"{scratch}/report", *words], check=True, capture_output=True)
        wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return {"wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2), "load_before": round(load, 2)}


def main() -> None:
    """Run the presets in turns and write every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher")
    parser.add_argument("--student")
    parser.add_argument("--preset", action="append", choices=list(PRESETS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    words = ["--teacher", given.teacher] if given.teacher else []
    words += ["--student", given.student] if given.student else []
    runs: dict[str, list[dict[str, float]]] = {preset: [] for preset in given.preset or ["quick"]}
    for _ in range(given.repeats):
        for preset, made in runs.items():
            made.append(run_once(given.bundle, given.data, PRESETS[preset] + words))
            print(preset, made[-1], file=sys.stderr)
    result = {
        "cores": os.cpu_count(),
        "with_teacher": bool(given.teacher),
        "runs": runs,
        "median_wall_s": {
            name: statistics.median(run["wall_s"] for run in made) for name, made in runs.items()
        },
        "median_cpu_s": {
            name: statistics.median(run["cpu_s"] for run in made) for name, made in runs.items()
        },
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
