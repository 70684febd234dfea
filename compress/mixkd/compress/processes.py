"""The processes of one training: one, or those that torchrun or `accelerate launch` started."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import PartialState

from mixkd.outputs import resumable_folder, work_folder

_PATIENCE = timedelta(hours=12)
"""How long the other processes wait while the first one reads and tokenises the data."""


def on_cpu() -> bool:
    """Return whether there is no accelerator to train on."""
    return not torch.accelerator.is_available()


def process_state() -> PartialState:
    """Return this process's device, its rank and the barriers of the run."""
    return PartialState(cpu=on_cpu(), timeout=_PATIENCE)


@contextmanager
def shared_work_folder(output: Path, *, overwrite: bool, resume: bool, keep: str) -> Iterator[Path]:
    """Yield the same `resumable_folder` to every process; only the first one makes it and puts it in place.

    With several machines, `output` must be on a file system that all of them share.

    Raises:
        OutputError: As `resumable_folder`, in the first process.
    """
    state = process_state()
    if not state.is_main_process:
        state.wait_for_everyone()  # until it is made
        yield work_folder(output)
        state.wait_for_everyone()
        return
    with resumable_folder(output, overwrite=overwrite, resume=resume, keep=keep) as work:
        state.wait_for_everyone()
        yield work
        state.wait_for_everyone()  # until nobody reads it any more
