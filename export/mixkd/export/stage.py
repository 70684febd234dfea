"""The stage itself: a student folder becomes a bundle."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import onnx

from mixkd.bench.variants import OnnxVariant
from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError
from mixkd.export.account import Account
from mixkd.export.card import write_card
from mixkd.export.config import ExportConfig, Rows
from mixkd.export.convert import convert
from mixkd.export.files import make_manifest, write_details, write_graphs, write_tokenizer
from mixkd.export.graph.probabilities import add_probabilities
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.graph.tokenizer_graph import check_tokenizer, write_text_graph
from mixkd.export.int8.budget import Choice, Quantizer, Trial, choose
from mixkd.export.judge.flips import Comparison, compare
from mixkd.export.judge.judge import Judge, Quality
from mixkd.export.judge.judging import Judges, Progress
from mixkd.export.judge.processors import GOLDEN_TEXTS, check_processors, compare_processors
from mixkd.export.judge.sizes import Sizes, measure_sizes
from mixkd.export.student import Student, open_student
from mixkd.export.vocabulary import TrimReport, Vocabulary, choose_vocabulary, measure_trim
from mixkd.outputs import check_output, fresh_folder
from mixkd.runtime.bundle import (
    FP32_FILE,
    INT8_FILE,
    TOKENIZER_FILE,
    Bundle,
    Precision,
    open_bundle,
    seal_bundle,
)

NOTICEABLE_DROP = 0.5
"""Points lost to int8 from which on the user is told without having set a budget."""

_FP32_BATCH_TOKENS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export made.

    Attributes:
        bundle: The opened bundle.
        sizes: Weights of the graph that answers, by part.
        file_bytes: Size of that graph's file.
        quality: Measured on the data; None without data.
        trim: What a smaller vocabulary costs; None where it is whole.
        trials: The int8 candidates that were measured, the last or fastest of which was taken.
        notes: Warnings.
    """

    bundle: Bundle
    sizes: Sizes
    file_bytes: int
    quality: Quality | None
    trials: tuple[Trial, ...]
    trim: TrimReport | None
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
    if corpus is None and config.needs_text:
        raise ConfigError(f"{config.needs_text} needs texts: name some with --data")
    check_processors(config.processors)
    check_output(output, overwrite=overwrite)
    opened = open_student(student, max_length=config.max_length)
    with fresh_folder(output, overwrite=overwrite) as folder:
        write_tokenizer(opened, folder)
        if config.with_tokenizer:
            check_tokenizer(folder, opened.task)
        vocabulary = _trim(opened, corpus, config, folder) if corpus else None
        opened.model.config.save_pretrained(folder)
        judges = Judges(opened, corpus, folder, progress)
        account = _make_graphs(opened, judges, config, vocabulary, progress)
        onnx.checker.check_model(account.answering, full_check=True)
        write_graphs(folder, account, keep_fp32=config.keep_fp32)
        judge = judges.to_report()
        if judge and config.processors:
            progress("answering on other processors")
            account = _on_other_processors(account, folder, config.processors, judge)
        manifest = make_manifest(account, output, config, data=judges.fingerprint())
        if config.with_tokenizer:
            write_text_graph(folder, account.answering, manifest)
        write_card(folder, manifest, account, title=output.name)
        write_details(folder, account)
        seal_bundle(folder, manifest)
    bundle = open_bundle(output)
    return ExportResult(
        bundle=bundle,
        sizes=account.sizes,
        file_bytes=bundle.model_path.stat().st_size,
        quality=account.quality,
        trials=account.choice.trials if account.choice else (),
        trim=account.trim,
        notes=account.notes,
    )


def _trim(student: Student, corpus: Corpus, config: ExportConfig, folder: Path) -> Vocabulary | None:
    if config.vocabulary.rows is Rows.FULL:
        return None
    split = "train" if "train" in corpus.splits else corpus.evaluation_split()
    texts = (row.text if row.text2 is None else (row.text, row.text2) for row in corpus.read(split))
    vocabulary = choose_vocabulary(folder / TOKENIZER_FILE, texts, others=config.vocabulary.others)
    if config.vocabulary.rows is Rows.SHARE:
        vocabulary = vocabulary.share_rows(student.model)
    vocabulary.trim_model(student.model)
    vocabulary.trim_tokenizer(folder)
    return vocabulary


def _make_graphs(
    student: Student,
    judges: Judges,
    config: ExportConfig,
    vocabulary: Vocabulary | None,
    progress: Progress,
) -> Account:
    judge = judges.to_report()
    progress("converting to ONNX")
    fp32, rewrites = rewrite(convert(student.model), max_length=student.max_length)
    add_probabilities(fp32, student.task)
    quantizer = Quantizer(fp32, config.embeddings, partial(judges.calibrate, fp32))
    choice = _quantized(quantizer, config, judges, progress) if config.int8 else None
    progress("measuring the graphs")
    measured = (
        _measure(judge, student, fp32, choice, vocabulary, publish=config.publish_examples)
        if judge
        else _Measured()
    )
    return Account(
        student=student,
        fp32=fp32,
        rewrites=rewrites,
        choice=choice,
        sizes=measure_sizes(choice.quantized.model if choice else fp32),
        quality=measured.quality,
        comparison=measured.comparison,
        trim=measured.trim,
        processors=(),
        notes=rewrites.notes() + _notes(measured.quality),
    )


def _quantized(quantizer: Quantizer, config: ExportConfig, judges: Judges, progress: Progress) -> Choice:
    progress("quantizing to int8")
    judge = judges.to_choose() if config.budget is not None else None
    if judge is not None:
        return choose(quantizer, config, judge, progress=progress)
    (recipe,) = config.recipes
    return Choice(quantizer.quantize(recipe), recipe, (), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    quality: Quality | None = None
    comparison: Comparison | None = None
    trim: TrimReport | None = None


def _measure(
    judge: Judge,
    student: Student,
    fp32: onnx.ModelProto,
    choice: Choice | None,
    vocabulary: Vocabulary | None,
    *,
    publish: bool,
) -> _Measured:
    before = judge.answer(fp32, batch_tokens=_FP32_BATCH_TOKENS)
    after = judge.answer(choice.quantized.model, batch_tokens=1) if choice else None
    answers = before if after is None else after
    return _Measured(
        quality=judge.quality(before, after),
        comparison=None
        if after is None
        else compare(judge.examples, student.labels, before, after, publish=publish),
        trim=measure_trim(vocabulary, judge, answers, student.tokenizer) if vocabulary else None,
    )


def _on_other_processors(account: Account, folder: Path, names: tuple[str, ...], judge: Judge) -> Account:
    variant = OnnxVariant(
        name="student",
        model=folder / (INT8_FILE if account.choice else FP32_FILE),
        tokenizer=folder,
        max_length=account.student.max_length,
        precision=Precision.INT8 if account.choice else Precision.FP32,
        labels=account.student.labels,
    )
    texts = judge.examples.texts
    golden = texts[:: max(1, len(texts) // GOLDEN_TEXTS)][:GOLDEN_TEXTS]
    found = compare_processors(names, variant, golden, account.student.task)
    notes = tuple(note for processor in found for note in processor.notes())
    return replace(account, processors=found, notes=account.notes + notes)


def _notes(quality: Quality | None) -> tuple[str, ...]:
    if quality is None or quality.int8 is None:
        return ()
    drop = 100 * (quality.student - quality.int8)
    if drop < NOTICEABLE_DROP:
        return ()
    return (f"int8 loses {drop:.2f} points on {quality.split}: set a budget with --max-drop",)
