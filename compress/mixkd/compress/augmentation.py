"""Back-translation: training texts to another language and back, as more texts to train on.

The augmentation that Liang et al. 2021 add to MixKD. A paraphrase keeps its text's label.
"""

import hashlib
import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mixkd.compress.checkpoints import load_translator
from mixkd.compress.locate import find_model
from mixkd.compress.processes import process_state
from mixkd.compress.selection import choose_rows
from mixkd.compress.translation import AugmentConfig
from mixkd.corpus.corpus import Corpus, Example, open_corpus
from mixkd.corpus.files import Row, check_writable, write_rows
from mixkd.errors import DataError, OutputError
from mixkd.labels import stratum_of
from mixkd.outputs import clear_write_errors, whole_file
from mixkd.progress import Progress, no_progress
from mixkd.runs import refuse_another_request, request_of
from mixkd.temporaries import locked

_MOST_REQUEST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Augmented:
    """What came out of a back-translation.

    Attributes:
        translated: Training texts, or pairs, that were translated.
        written: Paraphrases in the file: those that differ from their texts.
    """

    translated: int
    written: int


@dataclass(frozen=True, slots=True)
class Translator:
    """One direction of the translation.

    Attributes:
        model: Any sequence-to-sequence model, in evaluation mode.
        tokenizer: Its tokenizer.
        prefix: Put before each text, such as a target language's token; may be empty.
        config: Length, beams, temperature.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prefix: str
    config: AugmentConfig

    def __call__(self, texts: list[str]) -> list[str]:
        """Return the translations, in the texts' order."""
        given = [f"{self.prefix} {text}" if self.prefix else text for text in texts]
        limit = {"truncation": True, "max_length": self.config.max_length}
        inputs = self.tokenizer(given, padding=True, return_tensors="pt", **limit).to(self.model.device)
        sampling = self.config.temperature is not None
        with torch.inference_mode():
            found = self.model.generate(  # type: ignore[operator]  # of GenerationMixin, which every one has
                **inputs,
                max_new_tokens=self.config.max_length,
                num_beams=self.config.beams,
                do_sample=sampling,
                **({"temperature": self.config.temperature} if sampling else {}),
            )
        return [text.strip() for text in self.tokenizer.batch_decode(found, skip_special_tokens=True)]


def augment(
    data: Corpus | str | Path,
    output: str | Path,
    *,
    config: AugmentConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Augmented:
    """Back-translate the training texts that a training with the same selection and seed would use.

    Held-out validation texts are left out, so that no paraphrase of them is trained on. Finished translations
    are kept in `OUTPUT.partial`, a line per text, from which an interrupted run is resumed.

    Args:
        data: The texts, or what `open_corpus` takes: at least a training split; labels may be missing.
        output: The file to write; its suffix says the format.
        config: The options; None takes the defaults.
        overwrite: Replace the file.
        resume: Resume an interrupted run with the same options and data.
        progress: Called with the texts done.

    Raises:
        DataError: If the corpus can't be read, or the format can't hold its labels.
        ModelError: If a translation model can't be found or loaded.
        ConfigError: If an interrupted run had other options.
        OutputError: If the file may not be written.
    """
    corpus = data if isinstance(data, Corpus) else open_corpus(data)
    output, config = Path(output), config or AugmentConfig()
    _check_file(output, overwrite=overwrite)
    rows = _rows(corpus, config, output)
    done = output.with_name(f"{output.name}.partial")
    _check_work_file(done)
    request = request_of(corpus, config=config.as_dict())
    try:
        with clear_write_errors(output):
            first = _go_on(done, request, batch_size=config.batch_size, overwrite=overwrite, resume=resume)
            if first < len(rows):
                forward = _load(config.forward, config.forward_prefix, config)
                backward = _load(config.backward, config.backward_prefix, config)
                _translate(
                    _picked(corpus, rows[first:]),
                    len(rows) - first,
                    (forward, backward),
                    done,
                    _names(corpus),
                    progress,
                )
    finally:
        _drop_if_empty(done)
    present = {column for row in _changed(done) for column in row}
    write_rows(output, [name for name in _names(corpus) if name in present], _changed(done))
    written = sum(1 for _ in _changed(done))
    done.unlink()
    return Augmented(len(rows), written)


def _check_file(output: Path, *, overwrite: bool) -> None:
    check_writable(output)
    if output.is_dir() or (output.exists() and not overwrite):
        raise OutputError(f"{output} already exists: give --overwrite to replace it, or another name")


def _rows(corpus: Corpus, config: AugmentConfig, output: Path) -> NDArray[np.int64]:
    """Return the numbers of the training rows to translate."""
    numbers: dict[str, int] = {}
    classes = array("q")
    for example in corpus.read("train"):
        if not isinstance(example.label, str | None) and output.suffix.lower() != ".jsonl":
            raise DataError(f"{output} can't hold several labels per text: name a .jsonl file")
        classes.append(numbers.setdefault(stratum_of(example.label), len(numbers)))
    return choose_rows(np.array(classes), config, hold_out="validation" not in corpus.splits)[0]


def _go_on(done: Path, request: dict[str, Any], *, batch_size: int, overwrite: bool, resume: bool) -> int:
    """Return how many rows an interrupted run left in `done`; without one, begin the file."""
    header = (json.dumps(request) + "\n").encode("utf-8")
    if done.is_file() and not (resume or overwrite):
        raise OutputError(f"{done} holds an interrupted run: --resume continues it, --overwrite starts again")
    rows: list[bytes] = []
    if done.is_file() and resume:
        lines = done.read_bytes().splitlines(keepends=True)
        refuse_another_request(b"".join(lines[:1]).decode("utf-8", "replace"), request, where=done)
        whole = [line for line in lines[1:] if line.endswith(b"\n")]
        # In whole batches, so that the same texts are translated together wherever the run was killed.
        rows = whole[: len(whole) - len(whole) % batch_size]
    with whole_file(done) as file:
        file.buffer.writelines([header, *rows])
    return len(rows)


def _check_work_file(done: Path) -> None:
    """Refuse what stands at the work file's place, where it isn't one, or another run writes it."""
    if done.is_symlink() or (done.exists() and not _is_work_file(done)):
        raise OutputError(f"{done}, the work file, was not made by mkd: move it, or name another --output")
    if done.exists():
        with locked(done) as free:
            if not free:
                raise OutputError(
                    f"{done} is in use by another run: wait for its end, or name another --output"
                )


def _is_work_file(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            request = json.loads(file.readline(_MOST_REQUEST_BYTES))
        except (ValueError, RecursionError):
            return False
    return isinstance(request, dict) and {"config", "data"} <= request.keys()


def _drop_if_empty(done: Path) -> None:
    """Remove the file if no text in it is translated: there is nothing to resume."""
    if done.is_file():
        with done.open("rb") as file:
            begun = len(list(islice(file, 2))) == 2
        if not begun:
            done.unlink()


def _load(name: str, prefix: str, config: AugmentConfig) -> Translator:
    model, tokenizer = load_translator(find_model(name))
    return Translator(nn.Module.to(model, process_state().device), tokenizer, prefix, config)


def _picked(corpus: Corpus, rows: NDArray[np.int64]) -> Iterator[Example]:
    wanted = map(int, rows)  # ascending, as the texts are read
    following = next(wanted, None)
    for number, example in enumerate(corpus.read("train")):
        if number == following:
            yield example
            following = next(wanted, None)


def _translate(
    examples: Iterator[Example],
    total: int,
    directions: tuple[Translator, Translator],
    done: Path,
    names: list[str],
    progress: Progress,
) -> None:
    config = directions[0].config
    translated = 0
    with done.open("a", encoding="utf-8") as file, locked(done):
        while batch := list(islice(examples, config.batch_size)):
            _seed(config.seed, batch)
            texts = [part for e in batch for part in (e.text, e.text2) if part is not None]
            for translate in directions:
                texts = translate(texts)
            back = iter(texts)
            for example in batch:
                file.write(json.dumps(_line(example, back, names), ensure_ascii=False) + "\n")
            file.flush()
            translated += len(batch)
            progress("translating", translated, total)


def _seed(seed: int, batch: list[Example]) -> None:
    # A function of the batch, so that a resumed run samples the same wherever it was interrupted.
    digest = hashlib.blake2b("\0".join(e.text for e in batch).encode("utf-8", "replace"), digest_size=6)
    torch.manual_seed(seed + int.from_bytes(digest.digest(), "little"))


def _line(example: Example, back: Iterator[str], names: list[str]) -> dict[str, Any]:
    """Return a row of the file; an empty one where the translation is empty or equals the text."""
    was = [part for part in (example.text, example.text2) if part is not None]
    now = [next(back) for _ in was]
    if not all(now) or [text.lower().split() for text in was] == [text.lower().split() for text in now]:
        return {}
    row: dict[str, Any] = dict(zip(names, now, strict=False))
    return row if example.label is None else row | {names[2]: example.label}


def _changed(done: Path) -> Iterator[Row]:
    with done.open(encoding="utf-8") as file:
        next(file)  # the request
        yield from filter(None, map(json.loads, file))


def _names(corpus: Corpus) -> list[str]:
    """Return the names of the columns of text, second text and label."""
    columns = corpus.columns
    return [columns.text, columns.text2 or "text2", columns.label or "label"]
