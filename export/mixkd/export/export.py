"""The stage itself: a student folder becomes a bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mixkd.errors import ConfigError
from mixkd.outputs import check_output, fresh_folder
from mixkd.runs import data_fingerprint
from mixkd.runtime.bundle import Bundle, open_bundle, seal_bundle
from mixkd.texts import Corpus

from .account import Account
from .budget import Choice, choose
from .card import write_card
from .config import ExportConfig
from .convert import convert
from .files import make_manifest, write_details, write_graphs, write_tokenizer
from .flips import Comparison, compare
from .quantize import quantize
from .reference import TorchModel
from .rewrite import rewrite
from .sizes import Sizes, measure_sizes
from .student import Student, open_student
from .verify import Judge, Quality, read_examples

NOTICEABLE_DROP = 0.5
"""Points lost to int8 from which on the user is told without having set a budget."""

_FP32_BATCH_TOKENS = 2048

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export made.

    Attributes:
        bundle: The opened bundle.
        sizes: Weights of the graph that answers, by part.
        file_bytes: Size of that graph's file.
        quality: Measured on the data; None without data.
        notes: Warnings.
    """

    bundle: Bundle
    sizes: Sizes
    file_bytes: int
    quality: Quality | None
    notes: tuple[str, ...]


def export_student(
    student: Path,
    output: Path,
    *,
    config: ExportConfig,
    corpus: Corpus | None,
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> ExportResult:
    """Export a student to a bundle and, with data, measure what that costs.

    A candidate is chosen on the validation split where there is one; the test split is only reported on.

    Args:
        student: A Hugging Face folder with a fine-tuned classifier and its tokenizer.
        output: The bundle's folder.
        config: Every choice.
        corpus: Labelled texts; None measures nothing.
        overwrite: Whether what the output folder holds may be replaced.
        progress: Told what happens next.

    Returns:
        The bundle and its measures.

    Raises:
        ModelError: If the student is no classifier that can be exported.
        DataError: If the data has labels that the student hasn't got.
        OutputError: If the output can't be written.
        BudgetError: If no int8 candidate stays within `config.max_drop`; nothing is written then.
    """
    if config.max_drop is not None and corpus is None:
        raise ConfigError("max_drop is measured on data: give some with --data")
    check_output(output, overwrite=overwrite)
    opened = open_student(student, max_length=config.max_length)
    with fresh_folder(output, overwrite=overwrite) as folder:
        write_tokenizer(opened, folder)
        opened.model.config.save_pretrained(folder)
        judges = _Judges(opened, corpus, folder, progress)
        judge = judges.to_report()
        progress("converting to ONNX")
        fp32, rewrites = rewrite(convert(opened.model), max_length=opened.max_length)
        choice = _quantized(fp32, config, judges, progress) if config.int8 else None
        quality, comparison = _measure(judge, opened, fp32, choice, progress) if judge else (None, None)
        account = Account(
            student=opened,
            fp32=fp32,
            rewrites=rewrites,
            choice=choice,
            sizes=measure_sizes(choice.quantized.model if choice else fp32),
            quality=quality,
            comparison=comparison,
            notes=_notes(quality),
        )
        onnx.checker.check_model(account.answering, full_check=True)
        manifest = make_manifest(account, output, config, data=judges.fingerprint())
        write_graphs(folder, account, keep_fp32=config.keep_fp32)
        write_card(folder, manifest, account, title=output.name)
        write_details(folder, account)
        seal_bundle(folder, manifest)
    bundle = open_bundle(output)
    return ExportResult(
        bundle=bundle,
        sizes=account.sizes,
        file_bytes=bundle.model_path.stat().st_size,
        quality=quality,
        notes=account.notes,
    )


class _Judges:
    """The judges of the splits that are used, each made when it is first asked for."""

    def __init__(self, student: Student, corpus: Corpus | None, folder: Path, progress: Progress) -> None:
        self._student = student
        self._corpus = corpus
        self._folder = folder
        self._progress = progress
        self._made: dict[str, Judge] = {}

    def to_choose(self) -> Judge | None:
        """Return the judge of the validation split, or of what there is."""
        if self._corpus is None:
            return None
        splits = self._corpus.splits
        return self._judge("validation" if "validation" in splits else self._corpus.evaluation_split())

    def to_report(self) -> Judge | None:
        """Return the judge of the test split, or of what there is."""
        return None if self._corpus is None else self._judge(self._corpus.evaluation_split())

    def fingerprint(self) -> dict[str, Any] | None:
        """Return what was read of the data."""
        if self._corpus is None:
            return None
        return data_fingerprint(
            self._corpus, {split: len(judge.examples.texts) for split, judge in self._made.items()}
        )

    def _judge(self, split: str) -> Judge:
        if split not in self._made:
            assert self._corpus is not None, "asked for a split without data"
            student = self._student
            examples = read_examples(self._corpus, split, student.labels, student.task)
            self._progress(f"asking the PyTorch student ({split})")
            torch_model = TorchModel(student.folder, max_length=student.max_length)
            reference = np.asarray(torch_model.logits(examples.texts))
            self._made[split] = Judge(
                examples, reference, tokenizer=self._folder, max_length=student.max_length
            )
        return self._made[split]


def _quantized(fp32: onnx.ModelProto, config: ExportConfig, judges: _Judges, progress: Progress) -> Choice:
    progress("quantizing to int8")
    judge = judges.to_choose() if config.max_drop is not None else None
    if judge is not None:
        return choose(fp32, config, judge, progress=progress)
    return Choice(quantize(fp32, config.recipe, tables=config.embeddings), config.recipe, (), ())


def _measure(
    judge: Judge, student: Student, fp32: onnx.ModelProto, choice: Choice | None, progress: Progress
) -> tuple[Quality, Comparison | None]:
    progress("measuring the graphs")
    before = judge.answer(fp32, batch_tokens=_FP32_BATCH_TOKENS)
    if choice is None:
        return judge.quality(before, None), None
    after = judge.answer(choice.quantized.model, batch_tokens=1)
    return judge.quality(before, after), compare(judge.examples, student.labels, before, after)


def _notes(quality: Quality | None) -> tuple[str, ...]:
    if quality is None or quality.int8 is None:
        return ()
    drop = 100 * (quality.student - quality.int8)
    if drop < NOTICEABLE_DROP:
        return ()
    return (f"int8 loses {drop:.2f} points on {quality.split}: set a budget with --max-drop",)
