"""What a training shows: transformers' progress bar on a terminal, a line now and then elsewhere."""

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mixkd.console import warn


class LineReporter(TrainerCallback):
    """Writes one short line to stderr for every log entry: step, loss, validation metrics, time left."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock; a resumed run starts at its checkpoint's step."""
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Write the line."""
        logs = logs or {}
        shown = {name.removeprefix("eval_"): logs[name] for name in logs if _worth_showing(name)}
        if not shown or not state.is_world_process_zero:
            return
        kind = "validation" if any(name.startswith("eval_") for name in logs) else "training"
        values = "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
        warn(f"step {state.global_step}/{state.max_steps}  {kind}  {values}  {self._left(state)}")

    def _left(self, state: TrainerState) -> str:
        done = state.global_step - self._first_step
        seconds = (time.monotonic() - self._started) * (state.max_steps - state.global_step) / max(done, 1)
        return f"({int(seconds) // 60}:{int(seconds) % 60:02d} left)"


def _worth_showing(name: str) -> bool:
    timings = ("_runtime", "_per_second", "_time")
    return name == "loss" or (name.startswith("eval_") and not name.endswith(timings))
