"""What happens beside a training's steps: it tells how far it is, and is evaluated once more at its end."""

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mixkd.compress.arguments import SELECTION
from mixkd.metrics import format_metric
from mixkd.progress import Progress

_NOT_SHOWN = ("_runtime", "_per_second", "_time", SELECTION)


class ProgressReporter(TrainerCallback):
    """Reports every step of a training, in its first process.

    Args:
        progress: Called with the newest loss or validation metrics, the steps done and all steps.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._newest = "training"
        self._started = time.monotonic()
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock; a resumed run starts at its checkpoint's step."""
        self._started, self._first_step = time.monotonic(), state.global_step
        self._report(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Report the step."""
        self._report(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Take note of loss or validation metrics, and report them."""
        logs = logs or {}
        shown = {name.removeprefix("eval_"): logs[name] for name in logs if _worth_showing(name)}
        if not shown:
            return
        kind = "validation" if any(name.startswith("eval_") for name in logs) else "training"
        values = "  ".join(f"{name} {format_metric(name, value)}" for name, value in shown.items())
        self._newest = f"step {state.global_step}/{state.max_steps}  {kind}  {values}  {self._left(state)}"
        self._report(state)

    def _report(self, state: TrainerState) -> None:
        if state.is_world_process_zero:
            self._progress(self._newest, state.global_step, state.max_steps)

    def _left(self, state: TrainerState) -> str:
        done = state.global_step - self._first_step
        seconds = (time.monotonic() - self._started) * (state.max_steps - state.global_step) / max(done, 1)
        return f"({int(seconds) // 60}:{int(seconds) % 60:02d} left)"


def _worth_showing(name: str) -> bool:
    return name == "loss" or (name.startswith("eval_") and not name.endswith(_NOT_SHOWN))


class EvaluateAtTheEnd(TrainerCallback):
    """Evaluates after the last step, also where it isn't a multiple of the steps between two evaluations."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for the evaluation; the checkpoint at the end comes from transformers itself."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
