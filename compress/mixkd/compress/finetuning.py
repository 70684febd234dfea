"""Fine-tuning: a pretrained encoder and labelled texts to a teacher."""

from collections.abc import Callable
from pathlib import Path

from mixkd.compress.checkpoints import load_tokenizer, load_with_new_head, most_tokens
from mixkd.compress.class_weights import class_weights
from mixkd.compress.config import FinetuneConfig
from mixkd.compress.data import Collator
from mixkd.compress.locate import find_model
from mixkd.compress.objective import Objective
from mixkd.compress.run import TrainingResult, open_run
from mixkd.compress.weights import METHODS, Method
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.labels import read_label_space
from mixkd.progress import Progress, no_progress


def finetune(
    model: str | Path,
    data: Corpus | str | Path,
    output: str | Path,
    *,
    config: FinetuneConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> TrainingResult:
    """Fine-tune a pretrained encoder on a corpus: a teacher in the Hugging Face format, with a `run.json`.

    Args:
        model: A folder, or a name on the hub.
        data: The texts, or what `open_corpus` takes: at least a training split, whose labels become the
            classes.
        output: The folder to write.
        config: The options; None takes the defaults.
        overwrite: Replace what `output` holds.
        resume: Resume an interrupted run.
        announce: Called with problems of the data, before the training.
        progress: Called with what is done, and how far it is.

    Raises:
        ModelError: If the model can't be found or loaded.
        DataError: If the corpus can't be read or has no labels.
        ConfigError: If the options don't fit the model, or an interrupted run had others.
        TrainingError: If the loss becomes NaN.
        OutputError: If `output` may not be written.
    """
    config = (config or FinetuneConfig()).with_class_weights()
    corpus = data if isinstance(data, Corpus) else open_corpus(data)
    with open_run(
        Path(output),
        stage="finetune",
        origin={"model": str(model)},
        corpus=corpus,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        announce=announce,
        progress=progress,
    ) as run:
        labels = read_label_space(corpus, task=config.task.task)
        folder = find_model(str(model))
        encoder, tokenizer = load_with_new_head(folder, labels), load_tokenizer(folder)
        config = config.with_length(most_tokens(encoder, tokenizer))
        prepared = run.prepare(labels, tokenizer, config, models=[folder])

        each = class_weights(config.class_weights, labels, prepared.train) if config.class_weights else None

        def objective() -> Objective:
            model, weights = load_with_new_head(folder, labels), METHODS[Method.FINETUNE]
            return Objective(model, task=labels.task, weights=weights, class_weights=each)

        width = encoder.config.hidden_size
        trained = run.train(objective, prepared, Collator(tokenizer, labels), config, width=width)
        return run.save(trained, tokenizer, prepared)
