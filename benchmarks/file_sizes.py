"""What a smaller file costs: the size and the test accuracy of one student, exported in every small form.

    python benchmarks/file_sizes.py STUDENT --data clinc150 [--output benchmarks/file_sizes.json]

Every form is reported, none is chosen; what the smaller vocabularies do to texts with words outside the
training texts stands apart.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from mixkd.bench.drive.environment import read_environment
from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, export
from mixkd.export.config import TableFormat, VocabularyChoice
from mixkd.metrics import format_rate

VOCABULARIES = ("full", "trim:2500", "trim", "share:1000", "share")


def main() -> None:
    """Export, print a table in Markdown, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    found = {"forms": forms(given.student, given.data), "environment": asdict(read_environment())}
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def forms(student: Path, data: str) -> list[dict[str, object]]:
    """Return size and quality of each form."""
    corpus, found = open_corpus(data), []
    print(
        "| vocabulary | tables | file | accuracy | lost | texts with other words |\n|---|---|---|---|---|---|"
    )
    for vocabulary in VOCABULARIES:
        for tables in (TableFormat.INT8, TableFormat.INT4):
            config = ExportConfig(vocabulary=VocabularyChoice.parse(vocabulary), embeddings=tables)
            with tempfile.TemporaryDirectory() as scratch:
                made = export(student, Path(scratch, "bundle"), config=config, data=corpus)
            quality, trim = made.quality, made.trim
            assert quality is not None
            assert quality.int8 is not None
            found.append(
                {
                    "vocabulary": vocabulary,
                    "tables": str(tables),
                    "file_bytes": made.file_bytes,
                    "quality": quality.as_json(),
                    "other_words": trim.as_json() if trim else None,
                }
            )
            apart = trim.describe() if trim else ""
            print(
                f"| {vocabulary} | {tables} | {made.file_bytes / 1e6:.2f} MB | {format_rate(quality.int8)} | "
                f"{100 * (quality.student - quality.int8):.2f} | {apart} |",
                flush=True,
            )
    return found


if __name__ == "__main__":
    main()
