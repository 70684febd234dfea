"""Fine-tuning a teacher."""

from collections.abc import Callable
from pathlib import Path

from mixkd.compress.checkpoints import load_tokenizer, load_with_new_head
from mixkd.compress.config import FinetuneConfig
from mixkd.compress.locate import find_model
from mixkd.compress.losses import Weights
from mixkd.compress.run import Job, StageResult, run_job
from mixkd.corpus.corpus import Corpus
from mixkd.labels import read_label_space


def finetune(
    model: str,
    corpus: Corpus,
    output: Path,
    *,
    config: FinetuneConfig,
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
) -> StageResult:
    """Fine-tune a pretrained encoder on a corpus: a teacher in the Hugging Face format, with a `run.json`.

    Args:
        model: A folder, or a name on the hub.
        corpus: At least a training split; its labels become the classes.
        output: The folder to write.
        config: The options.
        overwrite: Replace what `output` holds.
        resume: Go on with an interrupted run.
        announce: Told, before the training, what is odd about the data.

    Raises:
        ModelError: If the model can't be found or loaded.
        DataError: If the corpus can't be read or has no labels.
        OutputError: If `output` may not be written.
    """

    def make_job() -> Job:
        labels = read_label_space(corpus, task=config.task.task)
        folder = find_model(model)
        return Job(
            stage="finetune",
            model=load_with_new_head(folder, labels),
            tokenizer=load_tokenizer(folder),
            teacher=None,
            corpus=corpus,
            labels=labels,
            config=config,
            weights=Weights(mle=1.0),
            origin={"model": model},
        )

    return run_job(make_job, output, seed=config.seed, overwrite=overwrite, resume=resume, announce=announce)
