"""The teacher's logits on all original training texts, computed once and kept on disk."""

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from mixkd.compress.checkpoints import model_inputs
from mixkd.compress.data import Collator, token_counts
from mixkd.compress.processes import process_state
from mixkd.progress import Progress, no_progress

_BATCH = 128


def teacher_logits(
    model: PreTrainedModel,
    rows: Dataset,
    collator: Collator,
    file: Path,
    *,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """Return the (N, C) logits for N rows, memory-mapped from `file`; the first process computes them.

    Args:
        model: Moved to the device that training will use, and to evaluation mode.
        rows: Tokenised with the model's own tokenizer.
        collator: Of the same tokenizer.
        file: The .npy file to write.
        progress: Called with the rows done.
    """
    state = process_state()
    with state.main_process_first():
        if state.is_main_process:
            _ask(model, rows, collator, file, progress)
        answers: NDArray[np.float32] = np.load(file, mmap_mode="r")
        return answers


def _ask(model: PreTrainedModel, rows: Dataset, collator: Collator, file: Path, progress: Progress) -> None:
    shape = (len(rows), int(model.config.num_labels or 0))
    answers = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    order = np.argsort(token_counts(rows), kind="stable")  # near lengths together
    device = process_state().device
    nn.Module.to(model, device).eval()
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            batch = collator([rows[int(i)] for i in chosen])
            inputs = model_inputs(model, batch)
            outputs = model(**{name: tensor.to(device) for name, tensor in inputs.items()})
            answers[chosen] = outputs.logits.float().cpu().numpy()
            progress("asking the teacher", start + len(chosen), len(order))
    answers.flush()
