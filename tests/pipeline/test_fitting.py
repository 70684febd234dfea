"""`mkd distill --max-latency-ms`: which shape is taken, of a tiny teacher and for given times."""

import json
from itertools import combinations
from pathlib import Path

import pytest
import torch

from mixkd.compress import DistillConfig, distill
from mixkd.compress.shape import StudentKind
from mixkd.errors import ConfigError
from mixkd.pipeline.fitting import Timer, largest_promise, promise, shapes_of
from mixkd.pipeline.search_grid import Shape
from tests.tiny import tiny_classifier, tiny_texts, tiny_tokenizer, write_student

MEASURED = {
    (6, 1536): 95.42,
    (6, 384): 95.47,
    (6, 192): 95.33,
    (4, 768): 95.49,
    (3, 1536): 95.33,
    (4, 384): 94.96,
    (3, 768): 95.11,
    (3, 384): 94.7,
    (2, 1536): 94.23,
    (2, 768): 94.04,
    (2, 384): 93.2,
    (1, 1536): 91.38,
}
"""Accuracy on clinc150 by layers and neurons of 6 and 1536; the students had one or two seeds."""


class Given(Timer):
    """Times that are given: 10 µs for each unit of work, and for tokens."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.times = {}
        self._given = {shape: 0.1 + 0.01 * rank for rank, shape in enumerate(shapes)}

    def p50_ms(self, shape: Shape) -> float:
        self.times[shape] = self._given.get(shape, 0.02)
        return self.times[shape]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_classifier("bert", num_hidden_layers=4)
    return write_student(tmp_path_factory.mktemp("fitting") / "teacher", model)


@pytest.fixture(scope="module")
def data(teacher: Path) -> Path:
    """Texts labelled by that teacher."""
    model, tokenizer, texts = tiny_classifier("bert", num_hidden_layers=4), tiny_tokenizer(), tiny_texts(120)
    with torch.inference_mode():
        labels = [int(model(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in texts]
    folder = teacher.parent / "data"
    folder.mkdir()
    for split, part in (("train", slice(0, 80)), ("validation", slice(80, 100)), ("test", slice(100, 120))):
        lines = [f"{text}\tlabel-{label}" for text, label in zip(texts[part], labels[part], strict=True)]
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    return folder


def test_promise_ranks_the_measured_shapes_as_their_accuracy_does() -> None:
    teacher = tiny_classifier("bert", num_hidden_layers=6, intermediate_size=1536)
    ranks = {sizes: promise(Shape.of_layers(sizes[0], ffn=sizes[1]), teacher) for sizes in MEASURED}
    clear = [(a, b) for a, b in combinations(MEASURED, 2) if abs(MEASURED[a] - MEASURED[b]) > 0.3]
    agreeing = [(ranks[a] > ranks[b]) == (MEASURED[a] > MEASURED[b]) for a, b in clear]
    assert len(clear) > 40
    assert sum(agreeing) / len(agreeing) > 0.95


@pytest.mark.parametrize("limit", [0.095, 0.1, 0.13, 0.17, 0.2, 1.0])
def test_of_the_shapes_within_the_limit_the_most_promising_is_taken(limit: float) -> None:
    model = tiny_classifier("bert", num_hidden_layers=6, intermediate_size=64)
    shapes = shapes_of(model)
    timer = Given(shapes)
    chosen = largest_promise(shapes, timer, limit, model)
    within = [shape for shape in shapes if Given(shapes).p50_ms(shape) <= limit]
    if within:
        assert promise(chosen, model) == max(promise(shape, model) for shape in within)
    else:
        assert chosen.kind is StudentKind.BAG
    assert len(timer.times) <= 7  # of 16


def test_limit_that_a_bag_exceeds_is_refused() -> None:
    model = tiny_classifier("bert")
    with pytest.raises(ConfigError, match=r"--max-latency-ms 0.001 is too little .* takes 0.02 ms"):
        largest_promise(shapes_of(model), Given(shapes_of(model)), 0.001, model)


def test_architecture_that_cannot_be_narrowed_has_its_layers_alone() -> None:
    model = tiny_classifier("bert", num_hidden_layers=4)
    assert {shape.ffn for shape in shapes_of(model)} == {None, 12, 6}
    setattr(model.config, "model_type", "something")  # noqa: B010 - of the class, says its type
    assert {shape.ffn for shape in shapes_of(model)} == {None}


def test_distill_takes_the_shape_that_fits_and_keeps_it_in_its_record(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    config = DistillConfig(max_latency_ms=1000.0, epochs=1, batch_size=16, max_length=24)
    made = distill(str(teacher), str(data), tmp_path / "out", config=config, announce=said.append)
    (line,) = [line for line in said if line.startswith("the student's shape")]
    assert "4-layers: " in line
    assert "the limit is 1000" in line
    run = json.loads((made.folder / "run.json").read_text(encoding="utf-8"))["config"]
    assert run["student_layers"] == 4
    assert "max_latency_ms" not in run
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_limit_that_nothing_keeps_leaves_nothing_behind(teacher: Path, data: Path, tmp_path: Path) -> None:
    config = DistillConfig(max_latency_ms=1e-6)
    with pytest.raises(ConfigError, match="1e-06 is too little for this machine: a bag, the fastest"):
        distill(str(teacher), str(data), tmp_path / "out", config=config)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"student_layers": 2}, "--student-layers"),
        ({"student_kind": StudentKind.BAG}, "--student-kind bag"),
        ({"student": "x"}, "--student"),
    ],
)
def test_a_given_shape_is_refused_beside_a_latency(options: dict[str, object], flag: str) -> None:
    with pytest.raises(ConfigError, match=f"{flag} can't be combined with --max-latency-ms"):
        DistillConfig(max_latency_ms=1.0, **options)  # type: ignore[arg-type]
