"""Distillation: a teacher and texts to a student."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mixkd.compress.bag import BAG, make_bag
from mixkd.compress.checkpoints import load_classifier, load_tokenizer, load_with_new_head, most_tokens
from mixkd.compress.class_weights import class_weights
from mixkd.compress.config import DistillConfig
from mixkd.compress.data import Collator
from mixkd.compress.importance import sample_batches
from mixkd.compress.locate import find_model
from mixkd.compress.narrowing import narrow, planned_widths
from mixkd.compress.objective import Objective
from mixkd.compress.run import TrainingResult, open_run
from mixkd.compress.student import cut_layers, layer_count
from mixkd.compress.weights import Term, Weights
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.errors import ConfigError
from mixkd.labels import label_space_of
from mixkd.progress import Progress, no_progress
from mixkd.task import Task


def distill(
    teacher: str | Path,
    data: Corpus | str | Path,
    output: str | Path,
    *,
    config: DistillConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> TrainingResult:
    """Distil a teacher into a student: a Hugging Face folder with a `run.json`.

    Args:
        teacher: A fine-tuned sequence classifier: a folder, or a name on the hub.
        data: The texts, or what `open_corpus` takes: at least a training split, with the teacher's labels or
            none.
        output: The folder to write.
        config: The options; None takes the defaults.
        overwrite: Replace what `output` holds.
        resume: Resume an interrupted run.
        announce: Called with problems of the data, before the training.
        progress: Called with what is done, and how far it is.

    Raises:
        ModelError: If the teacher can't be found, has no trained head, or can't be cut.
        DataError: If the corpus can't be read or holds labels that the teacher doesn't have.
        ConfigError: If the options don't fit teacher or student, such as mixing with two tokenizers, no shape
            is within the latency, or an interrupted run had other options.
        TrainingError: If the loss becomes NaN.
        OutputError: If `output` may not be written.
    """
    config = (config or DistillConfig()).with_class_weights()
    corpus = data if isinstance(data, Corpus) else open_corpus(data)
    with open_run(
        Path(output),
        stage="distill",
        origin={"teacher": str(teacher)},
        corpus=corpus,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        announce=announce,
        progress=progress,
    ) as run:
        if config.max_latency_ms is not None:
            config = run.fit_shape(str(teacher), config)
        folder = find_model(str(teacher))
        model, own_tokenizer = load_classifier(folder), load_tokenizer(folder)
        labels = label_space_of(model.config.to_dict(), model=str(teacher))
        student, tokenizer, started_from = untrained_student(model, own_tokenizer, folder, config)
        widths = planned_widths(model, ffn=config.student_ffn, heads=config.student_heads)
        shared, weights = same_tokenizer(own_tokenizer, tokenizer), config.weights()
        _check_pair(weights, student, model, shared_tokenizer=shared)
        config = config.with_length(min(most_tokens(student, tokenizer), most_tokens(model, own_tokenizer)))
        prepared = run.prepare(labels, tokenizer, config, models=[folder, started_from])
        collator = Collator(tokenizer, labels)
        each = class_weights(config.class_weights, labels, prepared.train) if config.class_weights else None
        if widths is not None:
            texts = sample_batches(prepared.train, collator, progress=progress)
            narrow(student, model, widths, texts, keep=config.keep, seed=config.seed)
        if weights[Term.KD] > 0 and weights[Term.HIDDEN] == 0:
            # The teacher's logits on each original text are computed once, not once per epoch.
            known = run.ask_teacher(model, own_tokenizer, labels, prepared, config, same_tokenizer=shared)
            prepared, collator = prepared.numbered(), Collator(tokenizer, labels, teacher_logits=known)

        def objective() -> Objective:
            # A part of the teacher starts every attempt as it is, another model with another new head.
            part = config.student is None
            start = (
                copy.deepcopy(student) if part else untrained_student(model, own_tokenizer, folder, config)[0]
            )
            return _objective(start, model, labels.task, config, each)

        trained = run.train(objective, prepared, collator, config, width=student.config.hidden_size)
        return run.save(trained, tokenizer, prepared)


def untrained_student(
    teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, config: DistillConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Path]:
    """Return the student that a training starts from, its tokenizer, and the folder of its weights.

    Its layers are still as wide as the teacher's: `narrow` chooses by texts what they keep.

    Args:
        teacher: In evaluation mode.
        tokenizer: The teacher's.
        folder: The teacher's.
        config: The options of the student's shape.
    """
    if config.is_bag:
        return make_bag(teacher, tokenizer, longest=most_tokens(teacher, tokenizer)), tokenizer, folder
    if config.student is None:
        layers = config.student_layers or max(1, layer_count(teacher) // 2)
        return cut_layers(teacher, layers, keep=config.keep), tokenizer, folder
    folder = find_model(config.student)
    labels = label_space_of(teacher.config.to_dict(), model="the teacher")
    return load_with_new_head(folder, labels), load_tokenizer(folder), folder


def _objective(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    task: Task,
    config: DistillConfig,
    each: Tensor | None,
) -> Objective:
    weights = config.weights()
    return Objective(
        student,
        teacher if weights.distilled else None,
        task=task,
        weights=weights,
        mixing=config.mixing(),
        distance=config.distance,
        temperature=config.temperature,
        class_weights=each,
    )


def _check_pair(
    weights: Weights, student: PreTrainedModel, teacher: PreTrainedModel, *, shared_tokenizer: bool
) -> None:
    if (weights.mixed or weights[Term.HIDDEN] > 0) and not shared_tokenizer:
        raise ConfigError(
            "teacher and student have different tokenizers, so neither texts can be mixed nor hidden states "
            "be matched token by token: use --method kd"
        )
    if weights[Term.HIDDEN] > 0:
        if student.config.model_type == BAG:
            raise ConfigError("a bag has no hidden states to match: use --method mixkd, or --alpha-hidden 0")
        if student.config.hidden_size != teacher.config.hidden_size:
            raise ConfigError(
                f"hidden states of widths {student.config.hidden_size} and {teacher.config.hidden_size} "
                "can't be matched: use --alpha-hidden 0"
            )
        if layer_count(student) < 2:
            raise ConfigError("a student of one layer has no inner layer to match: use --alpha-hidden 0")


def same_tokenizer(first: PreTrainedTokenizerBase, second: PreTrainedTokenizerBase) -> bool:
    """Return whether two fast tokenizers give every text the same ids."""
    return bool(_recipe(first) == _recipe(second))


def _recipe(tokenizer: PreTrainedTokenizerBase) -> Any:
    recipe = json.loads(tokenizer.backend_tokenizer.to_str())
    # How a tokenizer was last told to pad and truncate is state, not part of what it is.
    return {key: value for key, value in recipe.items() if key not in {"padding", "truncation", "version"}}
