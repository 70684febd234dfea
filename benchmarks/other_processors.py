"""The same bundle on other processors: how far its answers are from this machine's, through qemu-user.

python benchmarks/other_processors.py BUNDLE --data clinc150 --output benchmarks/other_processors.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from mixkd.bench.report.files import REPORT_FILE, read_report
from mixkd.bench.targets.emulate import PROCESSORS


def main() -> None:
    """Measure on every emulated processor and keep what isn't a sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    targets = ["local", *(f"emulate:{name}" for name in PROCESSORS)]
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "mixkd.cli",
            "bench",
            str(given.bundle),
            "--data",
            given.data,
            "--quick",
        ]
        command += [word for target in targets for word in ("--target", target)]
        command += ["--emulated-rows", str(given.texts), "--output", f"{scratch}/report"]
        subprocess.run(command, check=True)
        report = read_report(Path(scratch, "report", REPORT_FILE))
    rows = [
        {
            "target": row.target,
            "variant": row.label,
            "texts": row.quality.rows,
            "agreement": row.quality.agreement.value if row.quality.agreement else None,
            "largest_logit_difference": row.logit_difference,
        }
        for row in report.rows
    ]
    result = {"versions": report.targets[0].environment.versions, "rows": rows}
    given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
