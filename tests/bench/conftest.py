"""A measurement of the tiny bundle, taken once, and the small things it is made of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixkd.bench.config import BenchConfig
from mixkd.bench.measure import measure
from mixkd.bench.measurement import Plan
from mixkd.bench.report.schema import Absent, Report
from mixkd.bench.sampling import TokenCounter, draw_sample
from mixkd.bench.variants import FactoryVariant, OnnxVariant, Variant
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.runtime import Classifier, open_bundle
from tests.bench.sshd import Server, loopback
from tests.runtime.conftest import bundle, make_bundle

__all__ = ["bundle", "make_bundle"]  # fixtures

WORDS = "send my money to the account what is the weather in paris today wake me up at seven please"
LENGTHS = (1, 3, 5, 8, 13, 21)

SLOW_MODEL = '''
import numpy

class Sleeper:
    """Waits before it answers: slower than any real variant, by a known amount."""

    def __init__(self, folder, *, threads, max_length):
        import time
        self.sleep = time.sleep

    def encode(self, texts):
        self.sleep(0.002)
        print("noise on standard output, as some libraries make it")
        return {"input_ids": numpy.zeros((1, len(texts[0].split())), int)}

    def run(self, encoded):
        self.sleep(0.003)
        return numpy.zeros((1, 5), numpy.float32)

    def logits(self, texts):
        return numpy.zeros((len(texts), 5), numpy.float32)
'''


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """Texts of several lengths."""
    return [
        " ".join(WORDS[(start + i) % len(WORDS)] for i in range(n)) for n in LENGTHS for start in range(7)
    ]


@pytest.fixture(scope="session")
def corpus(bundle: Path, rows: list[str], tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Labelled with what the bundle itself answers, but for the first row: its accuracy is known."""
    classifier = Classifier.load(bundle, threads=1)
    labels = [classifier.predict(text).label for text in rows]
    wrong = next(label for label in classifier.labels if label != labels[0])
    folder = tmp_path_factory.mktemp("data")
    lines = [f"{text}\t{label}" for text, label in zip(rows, [wrong, *labels[1:]], strict=True)]
    (folder / "test.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return open_corpus(folder)


@pytest.fixture(scope="session")
def config() -> BenchConfig:
    return BenchConfig(samples=64, block=8, curve_samples=4, resamples=200)


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "sleeping_model.py").write_text(SLOW_MODEL, encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"\0" * 1000)
    return folder


@pytest.fixture(scope="session")
def plan(bundle: Path, corpus: Corpus, config: BenchConfig, slow_model: Path) -> Plan:
    opened = open_bundle(bundle)
    manifest = opened.manifest
    assert opened.fp32_path is not None
    common = {"tokenizer": bundle, "max_length": manifest.max_length, "labels": manifest.labels}
    onnx = [
        OnnxVariant(name="student-fp32", model=opened.fp32_path, precision="fp32", **common),  # type: ignore[arg-type]  # a dict of mixed values
        OnnxVariant(name="student-int8", model=opened.model_path, precision="int8", **common),  # type: ignore[arg-type]  # a dict of mixed values
        OnnxVariant(name="broken", model=bundle / "config.json", precision="fp32", **common),  # type: ignore[arg-type]  # a dict of mixed values
    ]
    sleeper = FactoryVariant(
        name="teacher-torch",
        factory="sleeping_model:Sleeper",
        folder=slow_model,
        max_length=manifest.max_length,
        precision="fp32",
        labels=manifest.labels,
        runtime="numpy",
    )
    return Plan(
        title="a <bundle> & more",
        variants=(sleeper, *onnx),
        absent=(Absent(label="teacher-onnx", reason="no teacher given"),),
        sample=draw_sample(corpus, config, TokenCounter(opened)),
        corpus=corpus,
        task=manifest.task,
        labels=manifest.labels,
        config=config,
    )


@pytest.fixture(scope="session")
def report(plan: Plan, slow_model: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(slow_model))
        return measure(plan)


@pytest.fixture(scope="session")
def int8(plan: Plan) -> Variant:
    return next(variant for variant in plan.variants if variant.name == "student-int8")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with loopback(tmp_path_factory.mktemp("sshd")) as running:
        yield running
