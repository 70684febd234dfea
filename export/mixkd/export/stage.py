"""The export stage: a student becomes a bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from mixkd.bench.render.cells import metric_difference
from mixkd.bench.variants import OnnxVariant
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.errors import ConfigError
from mixkd.export.account import Account
from mixkd.export.card import write_card
from mixkd.export.config import ExportConfig, Rows
from mixkd.export.convert import check_exporter, convert
from mixkd.export.dead_heads import without_dead_heads
from mixkd.export.files import make_manifest, write_config, write_details, write_graphs, write_tokenizer
from mixkd.export.graph.probabilities import add_probabilities
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.graph.tokenizer_graph import check_tokenizer, write_text_graph
from mixkd.export.int8.budget import Choice, Quantization, Quantizer, Trial, choose
from mixkd.export.int8.ranges import calibrated_ranges
from mixkd.export.judge.flips import LabelChanges, compare
from mixkd.export.judge.judge import ExportQuality, Judge, graph_logits
from mixkd.export.judge.processors import GOLDEN_TEXTS, OtherProcessor, check_processors, compare_processors
from mixkd.export.judge.sizes import measure_sizes
from mixkd.export.student import PROBE_TEXTS, Student, open_student
from mixkd.export.vocabulary import TrimReport, Vocabulary, choose_vocabulary, fixed_ids, measure_trim
from mixkd.outputs import check_output, fresh_folder
from mixkd.progress import Progress, no_progress
from mixkd.runs import data_fingerprint
from mixkd.runtime.bundle import Bundle, open_bundle, seal_bundle
from mixkd.runtime.drift import write_reference
from mixkd.runtime.graph.sizes import Sizes
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE, TOKENIZER_FILE, Precision
from mixkd.runtime.predictor import ALONE, BATCH_TOKENS

NOTICEABLE_DROP = 0.005
"""From this loss on, int8 is mentioned in the notes even where no budget was set; a fraction of one."""

_LOAD, _ASK, _CONVERT, _QUANTIZE, _MEASURE, _EMULATE = _STEPS = (
    "loading the student",
    "answering with PyTorch",
    "converting to ONNX",
    "quantizing to int8",
    "measuring the graphs",
    "answering on other processors",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export made.

    Attributes:
        bundle: The opened bundle.
        sizes: Bytes of the weights of the graph that answers, by part.
        file_bytes: Size of that graph's file.
        quality: Measured on the data; None without data.
        trials: The int8 candidates that were measured; the last or the fastest one was taken.
        trim: What a smaller vocabulary costs; None for the full one.
        notes: Warnings.
    """

    bundle: Bundle
    sizes: Sizes
    file_bytes: int
    quality: ExportQuality | None
    trials: tuple[Trial, ...]
    trim: TrimReport | None
    notes: tuple[str, ...]


def export(
    student: str | Path,
    output: str | Path,
    *,
    data: Corpus | str | Path | None = None,
    config: ExportConfig | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> ExportResult:
    """Export a student to a bundle and, with data, measure what that costs.

    An int8 candidate is chosen on the validation split where there is one; the test split is only reported.

    Args:
        student: A fine-tuned classifier with its tokenizer: a folder, or a name on the hub.
        output: The bundle's folder.
        data: Labelled texts, or what `open_corpus` takes; None measures nothing.
        config: Every choice; None takes the defaults.
        overwrite: Whether what the output folder holds may be replaced.
        progress: Called with each step.

    Returns:
        The bundle and what was measured.

    Raises:
        ModelError: If the student is no classifier that can be exported.
        DataError: If the data has labels that the student doesn't have.
        ConfigError: If an option needs texts and there are none, or can't be met.
        OutputError: If the output can't be written.
        MissingExtraError: If `config.exporter` is optimum and it isn't installed.
        BudgetError: If no int8 candidate stays within `config.max_drop`; nothing is written then.
    """
    config, output = config or ExportConfig(), Path(output)
    corpus = open_corpus(data) if isinstance(data, str | Path) else data
    if corpus is None and config.needs_text:
        raise ConfigError(f"{config.needs_text} needs texts: name some with --data")
    check_processors(config.processors)
    check_exporter(config.exporter)
    check_output(output, overwrite=overwrite)
    with fresh_folder(output, overwrite=overwrite) as folder:
        account = _make(folder, student, corpus, config, progress)
        manifest = make_manifest(account, config)
        if config.with_tokenizer:
            write_text_graph(folder, account.answering, manifest)
        write_card(folder, manifest, account, config, title=output.name)
        write_details(folder, account)
        seal_bundle(folder, manifest)
        if corpus is not None:
            write_reference(folder, corpus)
    progress("", len(_STEPS), len(_STEPS))
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


def _make(
    folder: Path, student: str | Path, corpus: Corpus | None, config: ExportConfig, progress: Progress
) -> Account:
    """Make, check and measure the graphs; write them, the tokenizer and `config.json` into the folder."""
    step = partial(_tell, progress)
    step(_LOAD)
    opened = open_student(student, max_length=config.max_length)
    vocabulary = _write_model_files(folder, opened, corpus, config)
    if corpus is not None:
        step(_ASK)
    judge, chooser, used = _ask_student(folder, opened, corpus, config)
    step(_CONVERT)
    longest = opened.max_length
    traced = convert(
        without_dead_heads(opened.model), opened.inputs, max_length=longest, exporter=config.exporter
    )
    fp32, rewrites = rewrite(traced, max_length=longest)
    add_probabilities(fp32, opened.task)
    step(_QUANTIZE)
    calibrate = partial(calibrated_ranges, fp32, corpus, tokenizer=folder, max_length=longest)
    quantizer = Quantizer(fp32, calibrate)
    choice = _quantize(quantizer, config, chooser, progress) if config.int8 else None
    int8 = choice.quantized.model if choice else None
    _check_graph(fp32 if int8 is None else int8, opened, folder)
    write_graphs(folder, int8=int8, fp32=fp32 if int8 is None or config.keep_fp32 else None)
    step(_MEASURE)
    measured = _measure(judge, opened, fp32, int8, vocabulary, config) if judge else _Measured()
    processors = _ask_processors(folder, opened, judge, config, step) if judge else ()
    return Account(
        student=opened,
        fp32=fp32,
        rewrites=rewrites,
        choice=choice,
        sizes=measure_sizes(fp32 if int8 is None else int8),
        quality=measured.quality,
        comparison=measured.comparison,
        trim=measured.trim,
        processors=processors,
        data=used,
        notes=rewrites.notes() + _notes(measured.quality, processors, choice),
    )


def _tell(progress: Progress, step: str, detail: str = "") -> None:
    progress(f"{step}: {detail}" if detail else step, _STEPS.index(step), len(_STEPS))


def _write_model_files(
    folder: Path, student: Student, corpus: Corpus | None, config: ExportConfig
) -> Vocabulary | None:
    """Write tokenizer and `config.json`; return the smaller vocabulary that model and tokenizer have now."""
    write_tokenizer(student, folder)
    if config.with_tokenizer:
        check_tokenizer(folder, student.task)
    vocabulary = None
    if corpus is not None and config.vocabulary.rows is not Rows.FULL:
        texts = (row.content for row in corpus.read(corpus.first_split("train")))
        file, others = folder / TOKENIZER_FILE, config.vocabulary.others
        vocabulary = choose_vocabulary(file, texts, others=others, first=fixed_ids(student.model))
        if config.vocabulary.rows is Rows.SHARE:
            vocabulary = vocabulary.share_rows(student.model)
        vocabulary.trim_model(student.model)
        vocabulary.trim_tokenizer(folder)
    write_config(student, folder)
    return vocabulary


def _ask_student(
    folder: Path, student: Student, corpus: Corpus | None, config: ExportConfig
) -> tuple[Judge | None, Judge | None, dict[str, Any] | None]:
    """Return the judge of the reported split, that of the split that chooses, and the data's fingerprint."""
    if corpus is None:
        return None, None, None
    splits = [corpus.evaluation_split()]
    if config.int8 and config.budget is not None:
        splits.append(corpus.first_split("validation"))
    judges = {s: Judge.of_split(corpus, s, student, tokenizer=folder) for s in dict.fromkeys(splits)}
    used = data_fingerprint(corpus, {split: len(judge.examples.texts) for split, judge in judges.items()})
    return judges[splits[0]], judges[splits[1]] if len(splits) > 1 else None, used


def _quantize(
    quantizer: Quantizer, config: ExportConfig, chooser: Judge | None, progress: Progress
) -> Choice:
    """Return the int8 graph that keeps the budget, or without one the only recipe's."""
    if chooser is not None:
        return choose(quantizer, config, chooser, tell=partial(_tell, progress, _QUANTIZE))
    (recipe,) = config.recipes
    return Choice(quantizer.quantize(Quantization(recipe=recipe, tables=config.embeddings)), recipe)


def _check_graph(graph: ModelProto, student: Student, folder: Path) -> None:
    """Refuse a graph that isn't valid ONNX or gives NaN."""
    onnx.checker.check_model(graph, full_check=True)
    logits = graph_logits(
        graph, PROBE_TEXTS, tokenizer=folder, max_length=student.max_length, batch_tokens=ALONE
    )
    student.check_logits(logits, of="its graph")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    quality: ExportQuality | None = None
    comparison: LabelChanges | None = None
    trim: TrimReport | None = None


def _measure(
    judge: Judge,
    student: Student,
    fp32: ModelProto,
    int8: ModelProto | None,
    vocabulary: Vocabulary | None,
    config: ExportConfig,
) -> _Measured:
    before = judge.answer(fp32, batch_tokens=BATCH_TOKENS)
    after = None if int8 is None else judge.answer(int8, batch_tokens=ALONE)
    comparison = None
    if after is not None:
        publish = config.publish_examples
        comparison = compare(judge.examples, before, after, publish=publish)
    answers = before if after is None else after
    return _Measured(
        quality=judge.quality(before, after),
        comparison=comparison,
        trim=measure_trim(vocabulary, judge, answers, student.tokenizer) if vocabulary else None,
    )


def _ask_processors(
    folder: Path, student: Student, judge: Judge, config: ExportConfig, step: Callable[[str], None]
) -> tuple[OtherProcessor, ...]:
    """Return how the processors of `config.target_isa` answer some of the judge's texts."""
    if not config.processors:
        return ()
    step(_EMULATE)
    variant = OnnxVariant(
        name="student",
        model=folder / (INT8_FILE if config.int8 else FP32_FILE),
        tokenizer=folder,
        max_length=student.max_length,
        precision=Precision.INT8 if config.int8 else Precision.FP32,
        labels=student.labels,
    )
    texts = judge.examples.texts
    golden = texts[:: max(1, len(texts) // GOLDEN_TEXTS)][:GOLDEN_TEXTS]
    return compare_processors(config.processors, variant, golden, student.task)


def _notes(
    quality: ExportQuality | None, processors: tuple[OtherProcessor, ...], choice: Choice | None
) -> tuple[str, ...]:
    notes = tuple(note for processor in processors for note in processor.notes())
    if choice is not None and choice.note is not None:
        notes += (choice.note,)
    if quality is None or quality.int8 is None or quality.student - quality.int8 < NOTICEABLE_DROP:
        return notes
    lost = metric_difference(quality.metric, quality.student - quality.int8)
    return (f"int8 loses {lost} on {quality.split}: set a limit with --max-drop", *notes)
