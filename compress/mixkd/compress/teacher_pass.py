"""The teacher's answers to all original training texts, asked once and kept on disk."""

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
from mixkd.progress import TerminalProgress

_BATCH = 128


def teacher_logits(
    model: PreTrainedModel, rows: Dataset, collator: Collator, file: Path
) -> NDArray[np.float32]:
    """Return the (N, C) logits for N rows, memory-mapped from `file`; the first process asks for all.

    Args:
        model: Moved to the device that training will use, and to evaluation mode.
        rows: Tokenised with the model's own tokenizer.
        collator: Of the same tokenizer.
        file: The .npy file to write.
    """
    state = process_state()
    with state.main_process_first():
        if state.is_main_process:
            _ask(model, rows, collator, file)
        answers: NDArray[np.float32] = np.load(file, mmap_mode="r")
        return answers


def _ask(model: PreTrainedModel, rows: Dataset, collator: Collator, file: Path) -> None:
    answers = np.lib.format.open_memmap(file, "w+", np.float32, (len(rows), model.config.num_labels))
    order = np.argsort(token_counts(rows), kind="stable")  # near lengths together
    device = process_state().device
    nn.Module.to(model, device).eval()
    with torch.inference_mode(), TerminalProgress() as progress:
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            batch = collator([rows[int(i)] for i in chosen])
            inputs = model_inputs(model, batch)
            outputs = model(**{name: tensor.to(device) for name, tensor in inputs.items()})
            answers[chosen] = outputs.logits.float().cpu().numpy()
            progress("asking the teacher", start + len(chosen), len(order))
    answers.flush()
