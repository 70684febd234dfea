"""The distillation stage: a teacher and texts in, a student out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mixkd.compress.checkpoints import load_classifier, load_tokenizer, load_with_new_head
from mixkd.compress.config import DistillConfig
from mixkd.compress.locate import find_model
from mixkd.compress.losses import Weights
from mixkd.compress.run import Job, StageResult, run_job
from mixkd.compress.student import cut_layers, layer_count
from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError
from mixkd.labels import label_space_of


def distill(
    teacher: str,
    corpus: Corpus,
    output: Path,
    *,
    config: DistillConfig,
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
) -> StageResult:
    """Distil a teacher into a student: a Hugging Face folder with a `run.json`.

    Args:
        teacher: A fine-tuned sequence classifier: a folder, or a name on the hub.
        corpus: At least a training split, with the teacher's labels or none.
        output: The folder to write.
        config: The options.
        overwrite: Replace what `output` holds.
        resume: Go on with an interrupted run.
        announce: Told, before the training, what is odd about the data.

    Raises:
        ModelError: If the teacher can't be found, has no trained head, or can't be cut.
        DataError: If the corpus can't be read or holds labels that the teacher hasn't.
        ConfigError: If teacher and student tokenise differently and anything is to be mixed.
        OutputError: If `output` may not be written.
    """

    def make_job() -> Job:
        folder = find_model(teacher)
        model = load_classifier(folder)
        tokenizer = load_tokenizer(folder)
        student, student_tokenizer = _student(model, tokenizer, config)
        shared = same_tokenizer(tokenizer, student_tokenizer)
        weights = Weights(mle=1.0, **config.alphas())
        _check_pair(weights, student, model, shared_tokenizer=shared)
        return Job(
            stage="distill",
            model=student,
            tokenizer=student_tokenizer,
            teacher=model if weights.distilled else None,
            teacher_tokenizer=None if shared else tokenizer,
            corpus=corpus,
            labels=label_space_of(model.config.to_dict(), model=teacher),
            config=config,
            weights=weights,
            mixing=config,
            origin={"teacher": teacher},
        )

    return run_job(make_job, output, seed=config.seed, overwrite=overwrite, resume=resume, announce=announce)


def _student(
    teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: DistillConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the untrained student and its tokenizer."""
    if config.student is None:
        layers = config.student_layers or max(1, layer_count(teacher) // 2)
        return cut_layers(teacher, layers, keep=config.keep), tokenizer
    folder = find_model(config.student)
    labels = label_space_of(teacher.config.to_dict(), model="the teacher")
    return load_with_new_head(folder, labels), load_tokenizer(folder)


def _check_pair(
    weights: Weights, student: PreTrainedModel, teacher: PreTrainedModel, *, shared_tokenizer: bool
) -> None:
    if weights.mixed and not shared_tokenizer:
        raise ConfigError(
            "teacher and student have different tokenizers, so their texts can't be mixed token by token: "
            "use --method kd"
        )
    if weights.hidden > 0:
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
    # How a tokenizer was last asked to pad and truncate is state, not part of what it is.
    return {key: value for key, value in recipe.items() if key not in {"padding", "truncation", "version"}}
