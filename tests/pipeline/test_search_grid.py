from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.compress.config import DistillConfig
from mixkd.compress.shape import StudentKind
from mixkd.errors import ConfigError
from mixkd.export.config import Recipe, Rows, VocabularyChoice
from mixkd.pipeline.search_grid import SearchConfig, make_grid, read_distillation
from mixkd.pipeline.search_measuring import Probe
from mixkd.pipeline.search_outcomes import (
    Outcome,
    State,
    best_fitting,
    drop_out,
    mark_pareto,
    render_outcomes,
)


def measured(name: str, score: float, p50_ms: float, size_bytes: int, reason: str | None = None) -> Outcome:
    return Outcome(
        name=name, state=State.MEASURED, reason=reason, score=score, p50_ms=p50_ms, size_bytes=size_bytes
    )


def test_default_grid_goes_to_half_of_the_teacher_with_and_without_trimming() -> None:
    names = [candidate.name for candidate in make_grid(SearchConfig(), teacher_layers=4)]
    assert names == [
        "bag-portable-full",
        "bag-portable-trim",
        "1-layer-portable-full",
        "1-layer-portable-trim",
        "2-layers-portable-full",
        "2-layers-portable-trim",
    ]


def test_grid_is_every_shape_times_every_recipe_and_vocabulary() -> None:
    config = SearchConfig(
        layers=(3, 1),
        kind=(StudentKind.TRANSFORMER,),
        student=("org/small",),
        recipe=(Recipe.FAST, Recipe.PORTABLE),
        vocabulary=(VocabularyChoice(),),
    )
    grid = make_grid(config, teacher_layers=3)
    assert [(c.shape.layers, c.shape.model, c.recipe.value) for c in grid] == [
        (1, None, "fast"),
        (1, None, "portable"),
        (3, None, "fast"),
        (3, None, "portable"),
        (None, "org/small", "fast"),
        (None, "org/small", "portable"),
    ]


def test_grid_crosses_layers_neurons_and_heads() -> None:
    config = SearchConfig(layers=(2, 1), ffn=(768, 384), heads=(6,), vocabulary=(VocabularyChoice(),))
    shapes = [candidate.shape for candidate in make_grid(config, teacher_layers=4)]
    assert [shape.name for shape in shapes] == [
        "bag",
        "1-layer-768-neurons-6-heads",
        "1-layer-384-neurons-6-heads",
        "2-layers-768-neurons-6-heads",
        "2-layers-384-neurons-6-heads",
    ]
    training = shapes[-1].training(DistillConfig(max_latency_ms=3.0))
    assert (training.student_layers, training.student_ffn, training.student_heads) == (2, 384, 6)
    assert training.max_latency_ms is None
    assert shapes[0].training(DistillConfig()).is_bag


@pytest.mark.parametrize("depth", [0, 7])
def test_depth_that_the_teacher_hasnt_is_refused(depth: int) -> None:
    with pytest.raises(ConfigError, match=f"--layers must be from 1 to 6, the teacher's, not {depth}"):
        make_grid(SearchConfig(layers=(1, depth)), teacher_layers=6)


def test_impossible_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="--max-latency-ms must be above 0, not 0"):
        SearchConfig(max_latency_ms=0.0)
    with pytest.raises(ConfigError, match="--max-size-mb must be above 0, not -1"):
        SearchConfig(max_size_mb=-1.0)


def test_grid_is_read_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # Up to the search itself, which would load the teacher.
    asked: list[SearchConfig] = []
    monkeypatch.setattr("mixkd.pipeline.search.search", lambda *_, grid, **__: asked.append(grid))
    words = ["search", "--teacher", "t", "--data", "clinc150", "--output", "out", "--layers", "2"]
    words += ["--layers", "4", "--recipe", "fast", "--vocabulary", "full", "--vocabulary", "trim:200"]
    CliRunner().invoke(app, words)
    (grid,) = asked
    assert grid.layers == (2, 4)
    assert grid.recipe == (Recipe.FAST,)
    assert grid.vocabulary == (VocabularyChoice(), VocabularyChoice(Rows.TRIM, 200))


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two students of the grid are named small"):
        make_grid(SearchConfig(student=("org/small", "other/small")), teacher_layers=2)


def test_untrained_student_drops_out_only_where_noise_cant_explain_it() -> None:
    limits = SearchConfig(max_latency_ms=2, max_size_mb=8)
    slow = Probe(name="slow", p50_ms=2.4, low_ms=2.1, size_bytes=10)
    noisy = Probe(name="noisy", p50_ms=2.4, low_ms=1.9, size_bytes=10)
    large = Probe(name="large", p50_ms=1.0, low_ms=0.9, size_bytes=8_100_000)
    dropped = [drop_out(probe, limits) for probe in (slow, noisy, large)]
    assert [one and one.reason for one in dropped] == [
        "2.10 ms, the limit is 2",
        None,
        "8.10 MB, the limit is 8",
    ]


def test_pareto_marks_what_nothing_beats_in_score_latency_and_size() -> None:
    found = mark_pareto(
        [
            measured("good", 0.95, 3.0, 30),
            measured("small", 0.90, 1.0, 10),
            measured("beaten", 0.90, 2.0, 10),
            measured("twin", 0.90, 1.0, 10),
            Outcome(name="skipped", state=State.SKIPPED, p50_ms=0.1, size_bytes=1),
        ]
    )
    assert [one.name for one in found if one.pareto] == ["good", "small", "twin"]


def test_best_has_the_best_score_of_those_that_keep_the_limits() -> None:
    slow = measured("slow", 0.95, 3.0, 30, reason="3.00 ms, the limit is 2")
    assert best_fitting([slow, measured("a", 0.9, 1.5, 9), measured("b", 0.9, 1.0, 9)]) == measured(
        "b", 0.9, 1.0, 9
    )
    assert best_fitting([slow]) is None


def test_table_has_the_best_on_top_and_says_why_others_are_out() -> None:
    skipped = Outcome(name="x", state=State.SKIPPED, reason="9.00 MB, the limit is 8", size_bytes=9_000_000)
    found = mark_pareto([skipped, measured("a", 0.8, 1.0, 9), measured("b", 0.9, 2.0, 9)])
    lines = render_outcomes(found, metric="accuracy", best="b")
    assert [line.split()[0] for line in lines[2:]] == ["b", "a", "x"]
    assert lines[2].endswith("best, pareto")
    assert lines[4].endswith("skipped: 9.00 MB, the limit is 8")


def test_table_prints_correlations_as_numbers() -> None:
    found = mark_pareto([measured("a", 0.8214, 1.0, 9)])
    table = render_outcomes(found, metric="pearson", best="a")
    assert table[2].split()[:2] == ["a", "0.8214"]
    assert "%" not in "".join(table)


def test_training_is_read_from_a_file_but_for_the_student(tmp_path: Path) -> None:
    file = tmp_path / "training.toml"
    file.write_text(
        'method = "tmkd"\nstudent-layers = 2\nstudent-ffn = "auto"\nepochs = 5.0\n', encoding="utf-8"
    )
    config = read_distillation(file, epochs=1.0)
    assert (config.method, config.epochs, config.student_layers) == ("tmkd", 1.0, None)
    assert config.student_ffn is None
