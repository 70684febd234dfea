"""A real student, 1,000 real texts, and Python's labels for them: what every example has to match."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from mixkd.compress.narrowing import Widths
from mixkd.corpus.corpus import open_corpus
from mixkd.export import export
from mixkd.export.config import ExportConfig, Rows, VocabularyChoice
from mixkd.runtime import Classifier
from mixkd.runtime.calibration import calibrate
from tests.examples.student import write_clinc150_bag, write_clinc150_student
from tests.export.scripts import OTHER, write_scripts_student
from tests.tiny import tiny_classifier, write_doubtful, write_student

TEXTS = 1000
FIXTURE = Path(__file__).parents[1] / "runtime" / "fixtures" / "bundle"
"""A bundle that is there at once: five labels, 32 tokens."""


@dataclass(frozen=True)
class Answers:
    """Texts, and the label that Python gives to each."""

    texts: list[str]
    labels: list[str]


@pytest.fixture(scope="session")
def student_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _bundle(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def answers(student_bundle: Path) -> Answers:
    return _answers(student_bundle)


@pytest.fixture(scope="session")
def narrowed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose layers have fewer neurons, and different numbers of heads."""
    return _bundle(tmp_path_factory.mktemp("narrowed"), Widths(ffn=768, heads=8))


@pytest.fixture(scope="session")
def narrowed_answers(narrowed_bundle: Path) -> Answers:
    return _answers(narrowed_bundle)


@pytest.fixture(scope="session")
def calibrated_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle whose scores were three times too sure, until a temperature was put into its graph."""
    folder, model = tmp_path_factory.mktemp("calibrated"), tiny_classifier("bert")
    write_student(folder / "student", model)
    write_doubtful(folder / "data", model, {"validation": 400}, temperature=3.0)
    export(folder / "student", folder / "bundle")
    found = calibrate(folder / "bundle", open_corpus(folder / "data"))
    assert found.temperature is not None
    assert found.temperature.factor > 2
    return folder / "bundle"


@pytest.fixture(scope="session", params=["xlm-roberta", "roberta"])
def trimmed_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the pieces of a few texts, of Unigram or byte-level BPE."""
    folder = tmp_path_factory.mktemp("trimmed")
    student = write_scripts_student(folder, request.param)
    config = ExportConfig(vocabulary=VocabularyChoice(Rows.TRIM))
    export(student, folder / "bundle", config=config, data=str(folder / "data"))
    return folder / "bundle"


@pytest.fixture(scope="session")
def trimmed_answers(trimmed_bundle: Path) -> Answers:
    texts = [text for text in OTHER if "\0" not in text]
    found = Classifier.load(trimmed_bundle, threads=1).predict(texts, top_k=2)
    # A random student is nearly undecided on some texts, and rounding differs between the runtimes.
    clear = [i for i, answer in enumerate(found) if answer.top[0][1] - answer.top[1][1] > 0.01]
    labels = [found[i].label for i in clear]
    assert len(labels) > len(texts) / 2
    assert len(set(labels)) > 1
    return Answers([texts[i] for i in clear], labels)


@pytest.fixture(scope="session")
def bag_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without attention."""
    folder = tmp_path_factory.mktemp("bag")
    write_clinc150_bag(folder / "student")
    return _exported(folder)


@pytest.fixture(scope="session")
def bag_answers(bag_bundle: Path) -> Answers:
    return _answers(bag_bundle)


def _bundle(folder: Path, widths: Widths | None = None) -> Path:
    write_clinc150_student(folder / "student", widths)
    return _exported(folder)


def _exported(folder: Path) -> Path:
    config = ExportConfig(with_tokenizer=True)
    export(folder / "student", folder / "bundle", config=config)
    return folder / "bundle"


def _answers(bundle: Path) -> Answers:
    rows = list(open_corpus("clinc150").read("test"))
    rows = rows[:: len(rows) // TEXTS][:TEXTS]
    texts = [row.text for row in rows]
    labels = [answer.label for answer in Classifier.load(bundle, threads=1).predict(texts)]
    # A student that had learned nothing could agree by always saying the same.
    assert sum(row.label == label for row, label in zip(rows, labels, strict=True)) > TEXTS / 2
    return Answers(texts, labels)


def shown_answers(bundle: Path, texts: list[str]) -> list[tuple[str, object]]:
    """Return Python's labels, and its scores as equal as the four digits that programs print allow."""
    answers = Classifier.load(bundle, threads=1).predict(texts)
    return [(answer.label, pytest.approx(answer.score, abs=1.1e-4)) for answer in answers]
