"""What the two training stages share: the work folder, the run of the trainer, the evaluation, `run.json`."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from mixkd.compress.checkpoints import most_tokens, quiet_transformers
from mixkd.compress.config import DistillConfig, TrainingConfig
from mixkd.compress.data import Collator, TrainingData, prepare, quiet_datasets, training_rows
from mixkd.compress.first_token import first_token_only
from mixkd.compress.losses import Weights
from mixkd.compress.processes import process_state, shared_work_folder
from mixkd.compress.teacher_pass import teacher_logits
from mixkd.compress.trainer import COMPLETE, ObjectiveTrainer, last_checkpoint
from mixkd.corpus.corpus import Corpus
from mixkd.labels import LabelSpace
from mixkd.runs import RunRecord, data_fingerprint, guard_resume, request_of

_REQUEST = "request.json"
_CHECKPOINTS = "checkpoints"
_KEEP = f"{_CHECKPOINTS}/checkpoint-*/{COMPLETE}"


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a training stage wrote, and how good it is.

    Attributes:
        folder: The model, its tokenizer and `run.json`.
        metrics: Per evaluated split: metric name to value, rates as fractions of one.
    """

    folder: Path
    metrics: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training: what learns, from whom, on what, how.

    Attributes:
        stage: ``finetune`` or ``distill``.
        model: What is trained, in place.
        tokenizer: Its tokenizer, saved beside it.
        teacher: Asked without gradient; None where no term needs it.
        teacher_tokenizer: Its tokenizer, where it isn't the model's.
        corpus: The data.
        labels: The label space of model, teacher and data.
        config: The options.
        weights: The α of every term.
        mixing: How pairs and shares are drawn.
        origin: The teacher or model it started from, by option name.
    """

    stage: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    teacher: PreTrainedModel | None
    teacher_tokenizer: PreTrainedTokenizerBase | None = None
    corpus: Corpus
    labels: LabelSpace
    config: TrainingConfig
    weights: Weights
    mixing: DistillConfig = field(default_factory=DistillConfig)
    origin: dict[str, str] = field(default_factory=dict)


def run_job(
    make_job: Callable[[], Job],
    output: Path,
    *,
    seed: int,
    overwrite: bool,
    resume: bool,
    announce: Callable[[str], None],
) -> StageResult:
    """Train, evaluate and save; `output` appears whole or not at all.

    Every process of a distributed run calls this; the first one reads and writes the files.

    Args:
        make_job: Loads the models and checks them; called once the output folder is known to be usable.
        output: The folder to write.
        seed: Of the new weights, such as a new head's.
        overwrite: Replace what `output` holds.
        resume: Go on from the last whole checkpoint of an interrupted run with the same options.
        announce: Told what is odd about the data.
    """
    started = time.monotonic()
    first = process_state().is_main_process
    with shared_work_folder(output, overwrite=overwrite, resume=resume, keep=_KEEP) as work:
        set_seed(seed)
        job = make_job()
        width, longest = job.model.config.hidden_size, most_tokens(job.model, job.tokenizer)
        job = replace(job, config=job.config.resolve(width=width, longest=longest))
        assert job.config.max_length is not None  # resolved
        if first:
            guard_resume(work / _REQUEST, request_of(job.corpus, config=job.config.as_dict(), **job.origin))
        with process_state().main_process_first():  # the others find what it wrote
            data = prepare(
                job.corpus,
                job.labels,
                job.tokenizer,
                max_length=job.config.max_length,
                selection=job.config,
                cache=work / "data",
            )
        if first:
            for note in data.warnings:
                announce(note)
        with ExitStack() as stack:
            stack.enter_context(quiet_transformers())
            stack.enter_context(quiet_datasets())
            for model in (job.model, job.teacher):
                if model is not None:
                    stack.enter_context(first_token_only(model))
            trainer = _trainer(job, data, work)
            checkpoint = last_checkpoint(work / _CHECKPOINTS) if resume else None
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
            results = {name: _evaluate(trainer, rows) for name, rows in data.evaluated.items()}
        if first:
            _save(job, data, results, work, time.monotonic() - started)
    return StageResult(output, results)


def set_dropout(model: PreTrainedModel, share: float | None) -> None:
    """Set every dropout of the model, in its modules and its config; None leaves them."""
    if share is None:
        return
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
        # Attention implementations keep their own copy, under the names their authors chose.
        for name in ("dropout_prob", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, share)


def _trainer(job: Job, data: TrainingData, work: Path) -> ObjectiveTrainer:
    set_seed(job.config.seed)
    set_dropout(job.model, job.config.dropout)
    job.model.get_input_embeddings().requires_grad_(not job.config.freeze_embeddings)
    collator = Collator(job.tokenizer, job.labels)
    train = data.train
    if job.teacher is not None and job.weights.kd > 0 and job.weights.hidden == 0:
        # The teacher answers each original text once, not once an epoch.
        train = train.add_column("row", np.arange(len(train)))
        collator = replace(collator, teacher_logits=_ask_teacher(job, data, work))
    return ObjectiveTrainer(
        job.model,
        teacher=job.teacher,
        weights=job.weights,
        mixing=job.mixing,
        labels=job.labels,
        config=job.config,
        train=train,
        validation=data.evaluated["validation"],
        collator=collator,
        checkpoints=work / _CHECKPOINTS,
    )


def _ask_teacher(job: Job, data: TrainingData, work: Path) -> NDArray[np.float32]:
    assert job.teacher is not None
    tokenizer, rows = job.tokenizer, data.train
    if job.teacher_tokenizer is not None:
        tokenizer = job.teacher_tokenizer
        assert job.config.max_length is not None  # resolved
        with process_state().main_process_first():
            rows = training_rows(
                job.corpus,
                job.labels,
                tokenizer,
                max_length=job.config.max_length,
                selection=job.config,
                cache=work / "teacher-data",
            )
    return teacher_logits(job.teacher, rows, Collator(tokenizer, job.labels), work / "teacher_logits.npy")


def _evaluate(trainer: ObjectiveTrainer, rows: Any) -> dict[str, float]:
    found = trainer.predict(rows, metric_key_prefix="m").metrics or {}
    return {name.removeprefix("m_"): value for name, value in found.items() if not name.startswith(_TIMINGS)}


_TIMINGS = ("m_runtime", "m_samples_per_second", "m_steps_per_second", "m_model_preparation_time")


def _save(
    job: Job,
    data: TrainingData,
    results: dict[str, dict[str, float]],
    work: Path,
    took_s: float,
) -> None:
    folder = work / "result"
    with quiet_transformers():
        job.model.save_pretrained(folder)
    # How it was last asked to pad and truncate is no part of a tokenizer.
    job.tokenizer.backend_tokenizer.no_truncation()
    job.tokenizer.backend_tokenizer.no_padding()
    job.tokenizer.save_pretrained(folder)
    logs = work / _CHECKPOINTS / "runs"  # where transformers puts TensorBoard's
    if logs.is_dir():
        logs.rename(folder / logs.name)
    RunRecord(
        stage=job.stage,
        inputs={**job.origin, **{key: value for key, value in job.corpus.origin.items() if value}},
        config=job.config.as_dict(),
        seed=job.config.seed,
        data=data_fingerprint(job.corpus, data.rows),
        metrics=results,
        notes=data.warnings,
        duration_s=round(took_s, 1),
    ).write(folder)
