"""The stage itself: a student folder becomes a bundle."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx

from mixkd.errors import ConfigError
from mixkd.outputs import check_output, fresh_folder
from mixkd.runtime.bundle import TOKENIZER_FILE, Bundle, open_bundle, seal_bundle
from mixkd.texts import Corpus

from .account import Account
from .budget import Choice, Quantizer, Trial, choose
from .card import write_card
from .config import ExportConfig
from .convert import convert
from .files import make_manifest, write_details, write_graphs, write_tokenizer
from .flips import Comparison, compare
from .judging import Judges, Progress
from .quantize import Ranges
from .ranges import measure_ranges
from .rewrite import rewrite
from .sizes import Sizes, measure_sizes
from .student import Student, open_student
from .verify import Judge, Quality
from .vocabulary import TrimReport, Vocabulary, choose_vocabulary, measure_trim

NOTICEABLE_DROP = 0.5
"""Points lost to int8 from which on the user is told without having set a budget."""

CALIBRATION_TEXTS = 300
"""Training texts that the ranges of `static` are measured on, at least, where there are as many."""

_FP32_BATCH_TOKENS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export made.

    Attributes:
        bundle: The opened bundle.
        sizes: Weights of the graph that answers, by part.
        file_bytes: Size of that graph's file.
        quality: Measured on the data; None without data.
        trials: The int8 candidates that were measured, the last or fastest of which was taken.
        notes: Warnings.
    """

    bundle: Bundle
    sizes: Sizes
    file_bytes: int
    quality: Quality | None
    trials: tuple[Trial, ...]
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
        raise ConfigError(f"{config.needs_text} needs text: give some with --data")
    check_output(output, overwrite=overwrite)
    opened = open_student(student, max_length=config.max_length)
    with fresh_folder(output, overwrite=overwrite) as folder:
        write_tokenizer(opened, folder)
        vocabulary = _trim(opened, corpus, config, folder) if corpus else None
        opened.model.config.save_pretrained(folder)
        judges = Judges(opened, corpus, folder, progress)
        judge = judges.to_report()
        progress("converting to ONNX")
        fp32, rewrites = rewrite(convert(opened.model), max_length=opened.max_length)
        calibrate = partial(_calibrate, fp32, opened, corpus, folder) if corpus else None
        quantizer = Quantizer(fp32, config.embeddings, calibrate)
        choice = _quantized(quantizer, config, judges, progress) if config.int8 else None
        progress("measuring the graphs")
        measured = _measure(judge, opened, fp32, choice, vocabulary) if judge else _Measured()
        account = Account(
            student=opened,
            fp32=fp32,
            rewrites=rewrites,
            choice=choice,
            sizes=measure_sizes(choice.quantized.model if choice else fp32),
            quality=measured.quality,
            comparison=measured.comparison,
            trim=measured.trim,
            notes=rewrites.notes() + _notes(measured.quality),
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
        quality=account.quality,
        trials=choice.trials if choice else (),
        notes=account.notes,
    )


def _trim(student: Student, corpus: Corpus, config: ExportConfig, folder: Path) -> Vocabulary | None:
    if config.other_pieces is None:
        return None
    split = "train" if "train" in corpus.splits else corpus.evaluation_split()
    texts = (row.text if row.text2 is None else (row.text, row.text2) for row in corpus.read(split))
    vocabulary = choose_vocabulary(folder / TOKENIZER_FILE, texts, others=config.other_pieces)
    if config.shares_rows:
        vocabulary = vocabulary.share_rows(student.model)
    vocabulary.trim_model(student.model)
    vocabulary.trim_tokenizer(folder)
    return vocabulary


def _calibrate(fp32: onnx.ModelProto, student: Student, corpus: Corpus, folder: Path) -> Ranges:
    split = "train" if "train" in corpus.splits else corpus.evaluation_split()
    rows = list(corpus.read(split))
    texts = [
        row.text if row.text2 is None else (row.text, row.text2)
        for row in rows[:: max(1, len(rows) // CALIBRATION_TEXTS)]
    ]
    return measure_ranges(fp32, texts, tokenizer=folder, max_length=student.max_length)


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
) -> _Measured:
    before = judge.answer(fp32, batch_tokens=_FP32_BATCH_TOKENS)
    after = judge.answer(choice.quantized.model, batch_tokens=1) if choice else None
    answers = before if after is None else after
    return _Measured(
        quality=judge.quality(before, after),
        comparison=None if after is None else compare(judge.examples, student.labels, before, after),
        trim=measure_trim(vocabulary, judge, answers, student.tokenizer) if vocabulary else None,
    )


def _notes(quality: Quality | None) -> tuple[str, ...]:
    if quality is None or quality.int8 is None:
        return ()
    drop = 100 * (quality.student - quality.int8)
    if drop < NOTICEABLE_DROP:
        return ()
    return (f"int8 loses {drop:.2f} points on {quality.split}: set a budget with --max-drop",)
