"""Results of long studies: a file with one JSON line for each run, which a stopped study goes on with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mixkd.bench.drive.environment import read_environment


class Lines:
    """The lines of one study.

    Args:
        file: Where they are; it need not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[dict[str, Any]]:
        """Return all of them."""
        if not self._file.is_file():
            return []
        return [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()]

    def has(self, cell: Mapping[str, Any]) -> bool:
        """Return whether a run stands there."""
        return any(line["cell"] == cell for line in self.read())

    def add(self, cell: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Append a run, with the processor that it ran on; several processes may do so at once.

        Args:
            cell: What was run.
            found: What came out.
        """
        machine = read_environment()
        line = {
            "cell": cell,
            **found,
            "processor": machine.processor,
            "isa": machine.isa,
            "threads": torch.get_num_threads(),
            "versions": {name: machine.versions[name] for name in ("mixkd", "torch", "transformers")},
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
