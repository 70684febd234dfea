"""One training from empty folder to result: its work folder, data, trainer, evaluation and record."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy import float32
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from mixkd.compress.arguments import process_count
from mixkd.compress.checkpoints import quiet_transformers
from mixkd.compress.completion import COMPLETE
from mixkd.compress.config import DistillConfig, TrainingConfig
from mixkd.compress.data import Collator, TrainingData, prepare, quiet_datasets, training_rows
from mixkd.compress.first_token import first_token_only
from mixkd.compress.fitting import fitting_shape
from mixkd.compress.locate import weights_digest
from mixkd.compress.objective import Objective
from mixkd.compress.processes import process_state, shared_work_folder
from mixkd.compress.recipe import Situation, settle
from mixkd.compress.teacher_pass import teacher_logits
from mixkd.compress.training import CHECKPOINTS, Metrics, Trained, Training
from mixkd.corpus.corpus import Corpus
from mixkd.errors import TrainingError
from mixkd.labels import LabelSpace
from mixkd.progress import Progress
from mixkd.runs import RunRecord, data_fingerprint, guard_resume, request_of

_KEEP = f"{CHECKPOINTS}-*/checkpoint-*/{COMPLETE}"


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training wrote, and its metrics.

    Attributes:
        folder: The model, its tokenizer and `run.json`.
        metrics: Per evaluated split: metric name to value, rates as fractions of one.
    """

    folder: Path
    metrics: Metrics


@contextmanager
def open_run(
    output: Path,
    *,
    stage: str,
    origin: Mapping[str, str],
    corpus: Corpus,
    seed: int,
    overwrite: bool,
    resume: bool,
    announce: Callable[[str], None],
    progress: Progress,
) -> Iterator["Run"]:
    """Yield a training run; when the block ends, what it saved takes the place of `output`, whole.

    Every process of a distributed run enters it; the first one reads and writes the files. A run that is
    killed, or ends with an error after its first checkpoint, can be resumed; one whose loss became NaN can't.

    Args:
        output: The folder to write.
        stage: The command, for `run.json`.
        origin: The models that the training starts from, by option name.
        corpus: The data.
        seed: Of everything random, also of newly initialised weights.
        overwrite: Replace what `output` holds.
        resume: Resume from the last complete checkpoint of an interrupted run with the same options and data.
        announce: Called with problems of the data.
        progress: Called with what is done, and how far it is.

    Raises:
        OutputError: If `output` may not be written.
    """
    with shared_work_folder(output, overwrite=overwrite, resume=resume, keep=_KEEP) as work:
        set_seed(seed)
        try:
            with quiet_transformers(), quiet_datasets():
                yield Run(output, work, stage, origin, corpus, resume, announce, progress)
        except TrainingError:
            # Every resumed run would end like this one.
            if process_state().is_main_process:
                for checkpoints in work.glob(f"{CHECKPOINTS}-*"):
                    shutil.rmtree(checkpoints, ignore_errors=True)
            raise


class Run:
    """The steps of a training, in the order of their use: `prepare`, `ask_teacher`, `train`, `save`."""

    def __init__(
        self,
        output: Path,
        work: Path,
        stage: str,
        origin: Mapping[str, str],
        corpus: Corpus,
        resume: bool,
        announce: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._output = output
        self._work = work
        self._stage = stage
        self._origin = origin
        self._corpus = corpus
        self._resume = resume
        self._announce = announce
        self._progress = progress
        self._first = process_state().is_main_process
        self._started = time.monotonic()

    def fit_shape(self, teacher: str, config: DistillConfig) -> DistillConfig:
        """Return the options with a shape within `config.max_latency_ms`, and announce it.

        Args:
            teacher: The teacher's folder or name on the hub.
            config: The options.

        Raises:
            ConfigError: If none is within it.
        """
        with process_state().main_process_first():  # the others read what it chose
            shape = fitting_shape(teacher, self._corpus, config, work=self._work, progress=self._progress)
        if self._first:
            self._announce(f"the student's shape is {shape.why}")
        return shape.fit(config)

    def prepare(
        self,
        labels: LabelSpace,
        tokenizer: PreTrainedTokenizerBase,
        config: TrainingConfig,
        *,
        models: Sequence[Path],
    ) -> TrainingData:
        """Check and tokenise the data; announce its problems.

        Args:
            labels: The label space of model and data.
            tokenizer: The tokenizer of the model that is trained.
            config: The options, resolved.
            models: The folders of the models that the training starts from.

        Raises:
            ConfigError: If an interrupted run had other options, data or models.
            DataError: If the data is malformed or holds labels outside the label space.
        """
        assert config.max_length is not None  # resolved
        if self._first:
            weights = [weights_digest(folder) for folder in models]
            request = request_of(self._corpus, config=config.as_dict(), **self._origin, weights=weights)
            guard_resume(self._work / "request.json", request)
        with process_state().main_process_first():  # the others read what it wrote
            data = prepare(
                self._corpus,
                labels,
                tokenizer,
                max_length=config.max_length,
                selection=config,
                cache=self._work / "data",
            )
        if self._first:
            for problem in data.warnings:
                self._announce(problem)
        return data

    def ask_teacher(
        self,
        teacher: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        labels: LabelSpace,
        data: TrainingData,
        config: TrainingConfig,
        *,
        same_tokenizer: bool,
    ) -> NDArray[float32]:
        """Return the teacher's logits on the original training texts, (N, C), in the rows' order.

        Args:
            teacher: The teacher.
            tokenizer: Its own tokenizer.
            labels: The label space.
            data: What `prepare` returned.
            config: The options, resolved.
            same_tokenizer: Whether the data was tokenised with an equal tokenizer.
        """
        assert config.max_length is not None  # resolved
        rows = data.train
        if not same_tokenizer:
            with process_state().main_process_first():
                rows = training_rows(
                    self._corpus,
                    labels,
                    tokenizer,
                    max_length=config.max_length,
                    selection=config,
                    cache=self._work / "teacher-data",
                )
        with first_token_only(teacher):
            return teacher_logits(
                teacher,
                rows,
                Collator(tokenizer, labels),
                self._work / "teacher_logits.npy",
                progress=self._progress,
            )

    def train(
        self,
        make: Callable[[], Objective],
        data: TrainingData,
        collator: Collator,
        config: TrainingConfig,
        *,
        width: int,
    ) -> Trained:
        """Settle what the options leave open, train, and evaluate on the other splits.

        Args:
            make: Makes an untrained objective; what it initialises depends on torch's random state.
            data: What `prepare` returned.
            collator: Rows to batches.
            config: The options.
            width: The hidden size of the model that is trained.

        Raises:
            ConfigError: If the hardware or the installation lacks what an option needs.
            TrainingError: If the loss, or a weight, is no longer a finite number.
        """
        situation = Situation(len(data.train), collator.labels, width, processes=process_count())
        training = Training(
            data,
            collator,
            work=self._work,
            resume=self._resume,
            announce=self._announce,
            progress=self._progress,
        )
        return training.run(make, settle(config, situation))

    def save(
        self, trained: Trained, tokenizer: PreTrainedTokenizerBase, data: TrainingData
    ) -> TrainingResult:
        """Write the model, its tokenizer and `run.json`, in the first process.

        Args:
            trained: What `train` returned.
            tokenizer: The model's tokenizer.
            data: What `prepare` returned.

        Returns:
            The result, which is in place when the run ends.
        """
        result = TrainingResult(self._output, trained.metrics)
        if not self._first:
            return result
        folder = self._work / "result"
        trained.student.save_pretrained(folder)
        # How it was last told to pad and truncate is no part of a tokenizer.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        # transformers 4 and 5 differ in whether a tokenizer without a class of its own makes segment ids.
        tokenizer.init_kwargs["model_input_names"] = list(tokenizer.model_input_names)
        tokenizer.save_pretrained(folder)
        logs = trained.checkpoints / "runs"  # where transformers puts TensorBoard's
        if logs.is_dir():
            logs.rename(folder / logs.name)
        RunRecord(
            stage=self._stage,
            inputs={**self._origin, **_given(self._corpus.origin)},
            config=trained.config.as_dict(),
            seed=trained.config.seed,
            data=data_fingerprint(self._corpus, data.rows),
            metrics=trained.metrics,
            notes=(*data.warnings, *trained.notes),
            duration_s=round(time.monotonic() - self._started, 1),
        ).write(folder)
        return result


def _given(origin: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in origin.items() if value}
