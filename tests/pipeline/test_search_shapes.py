"""`mkd search` over shapes: short trainings drop what a faster shape beats, the rest is charted."""

import json
from pathlib import Path

import pytest
import torch

from mixkd.bench.report.files import read_report
from mixkd.compress.config import DistillConfig
from mixkd.corpus.corpus import open_corpus
from mixkd.export.config import Recipe, VocabularyChoice
from mixkd.pipeline.search import SearchResult, search
from mixkd.pipeline.search_grid import Candidate, SearchConfig, Shape
from mixkd.pipeline.search_measuring import Probe
from mixkd.pipeline.search_outcomes import State
from mixkd.pipeline.search_trials import Trial, beaten, cheapest_first, dropped, is_comparable
from tests.tiny import tiny_classifier, tiny_texts, tiny_tokenizer, write_student

GRID = SearchConfig(layers=(1, 2), ffn=(24, 6), vocabulary=(VocabularyChoice(),), trial_epochs=0.5)


def trial(name: str, p50_ms: float, score: float) -> Trial:
    return Trial(shape=Shape(name=name, layers=1), p50_ms=p50_ms, score=score)


def test_a_shape_is_beaten_by_a_faster_one_that_is_clearly_better() -> None:
    trials = [trial("a", 1.0, 0.80), trial("b", 2.0, 0.798), trial("c", 3.0, 0.79), trial("d", 4.0, 0.9)]
    found = beaten(trials, metric="accuracy")
    assert {shape.name: why for shape, why in found.items()} == {
        "c": "in a short training a, which is faster, reaches 80.00 %, not 79.00 %"
    }


def test_shapes_are_tried_from_the_fastest_and_bags_are_not_compared() -> None:
    shapes = [Shape.of_layers(2), Shape.of_layers(1), Shape(name="bag")]
    candidates = [Candidate(shape, recipe, VocabularyChoice()) for shape in shapes for recipe in Recipe]
    times = iter((5.0, 4.0, 6.0, 3.0, 3.5, 2.0, 0.1, 0.2, 0.3))
    probes = {c.name: Probe(name=c.name, p50_ms=next(times), low_ms=0, size_bytes=7) for c in candidates}
    found = cheapest_first(candidates, probes)
    expected = [("bag", 0.1), ("1-layer", 2.0), ("2-layers", 4.0)]
    assert [(shape.name, p50) for shape, p50 in found.items()] == expected
    assert [is_comparable(shape) for shape in found] == [False, True, True]
    out = dropped(candidates, {shapes[0]: "slow"}, probes)
    assert {(one.name, one.state, one.p50_ms) for one in out} == {
        (f"2-layers-{recipe}-full", State.DROPPED, p50)
        for recipe, p50 in zip(Recipe, (5.0, 4.0, 6.0), strict=True)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, and texts with its labels."""
    folder = tmp_path_factory.mktemp("shapes")
    teacher = tiny_classifier("bert", num_hidden_layers=4)
    write_student(folder / "teacher", teacher)
    tokenizer, texts = tiny_tokenizer(), tiny_texts(160)
    with torch.inference_mode():
        labels = [int(teacher(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in texts]
    (folder / "data").mkdir()
    for split, part in (("train", slice(0, 100)), ("validation", slice(100, 130)), ("test", slice(130, 160))):
        lines = [f"{text}\tlabel-{label}" for text, label in zip(texts[part], labels[part], strict=True)]
        (folder / "data" / f"{split}.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    return folder


def run(folder: Path, said: list[str], *, resume: bool = False) -> SearchResult:
    return search(
        str(folder / "teacher"),
        open_corpus(str(folder / "data")),
        folder / "out",
        grid=GRID,
        distillation=DistillConfig(epochs=1.0, batch_size=16, max_length=24, learning_rate=1e-3),
        resume=resume,
        announce=said.append,
    )


@pytest.mark.slow
def test_shapes_are_tried_dropped_or_trained_and_stand_in_the_chart(folder: Path) -> None:
    said: list[str] = []
    found = run(folder, said)
    outcomes = {one.name.removesuffix("-portable-full"): one for one in found.outcomes}
    tried = {f"{n}-neurons" for n in ("1-layer-24", "1-layer-6", "2-layers-24", "2-layers-6")}
    assert outcomes.keys() == {"bag"} | tried
    assert {path.name for path in (folder / "out" / "trials").iterdir()} == {f"{name}-0.5" for name in tried}
    trained = {path.name for path in (folder / "out" / "students").iterdir()}
    for name, one in outcomes.items():
        assert one.state in {State.MEASURED, State.DROPPED}, one
        assert (one.state is State.MEASURED) == (name in trained)
        assert one.p50_ms is not None
    assert outcomes["bag"].state is State.MEASURED
    report = read_report(folder / "out" / "report" / "report.json")
    measured = {one.name for one in found.outcomes if one.state is State.MEASURED}
    assert {row.label for row in report.rows} == measured
    page = (folder / "out" / "report" / "report.html").read_text(encoding="utf-8")
    assert "Quality against" in page
    assert 'class="front"' in page
    again: list[str] = []
    states = [one.state for one in run(folder, again, resume=True).outcomes]
    assert states == [one.state for one in found.outcomes]
    assert not [line for line in again if line.startswith(("training", "exporting"))]
    kept = json.loads((folder / "out" / "search.json").read_text(encoding="utf-8"))
    assert len(kept["candidates"]) == 5
