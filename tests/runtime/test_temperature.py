"""Fitting a temperature: against a plain search, and on texts that tell none."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mixkd.corpus.corpus import open_corpus
from mixkd.errors import BundleError, ConfigError
from mixkd.runtime import open_bundle
from mixkd.runtime.calibration import calibrate
from mixkd.runtime.manifest import INT8_FILE
from mixkd.runtime.temperature import (
    Scored,
    best_temperature,
    fit_held_out,
    has_temperature,
    scale_temperature,
)
from tests.runtime.conftest import MakeBundle


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def drawn(texts: int, *, too_sure: float) -> Scored:
    """Scores whose labels are drawn from what they say at the temperature `too_sure`."""
    chance = np.random.default_rng(4)
    logits = chance.normal(scale=4.0, size=(texts, 6))
    target = [chance.choice(6, p=row) for row in softmax(logits / too_sure)]
    return Scored.of(softmax(logits).astype(np.float32), target)


@pytest.mark.parametrize("too_sure", [0.4, 1.0, 2.5])
def test_the_best_temperature_is_that_of_a_plain_search(too_sure: float) -> None:
    scored = drawn(4000, too_sure=too_sure)
    found = best_temperature(scored)
    assert found is not None
    searched = np.geomspace(0.1, 10, 4001)
    assert found == pytest.approx(searched[np.argmin([scored.loss(t) for t in searched])], rel=2e-3)
    assert found == pytest.approx(too_sure, rel=0.06)


def test_the_loss_and_its_slope_are_those_of_the_definition() -> None:
    scored = drawn(50, too_sure=2.0)
    shares = softmax(scored.logs / 1.7)
    assert scored.loss(1.7) == pytest.approx(-np.log(shares[np.arange(50), scored.target]).mean())
    nudged = (scored.loss(1 / 0.6001) - scored.loss(1 / 0.5999)) / 0.0002
    assert scored.slope(0.6) == pytest.approx(nudged, rel=1e-5)


def test_a_temperature_makes_texts_that_it_never_saw_better_calibrated() -> None:
    fit = fit_held_out(drawn(2000, too_sure=2.5))
    assert fit is not None
    assert fit.texts == 2000
    assert fit.ece_after < 0.03
    assert fit.ece_before > 0.15
    assert fit.loss_after < fit.loss_before


def test_texts_that_are_all_right_or_all_wrong_tell_no_temperature() -> None:
    scored = drawn(200, too_sure=1.0)
    for target in (scored.logs.argmax(axis=1), scored.logs.argmin(axis=1)):
        assert best_temperature(Scored(scored.logs, target)) is None
        assert fit_held_out(Scored(scored.logs, target)) is None


def test_a_graph_without_one_is_left_as_it_is(make_bundle: MakeBundle, tmp_path: Path) -> None:
    folder = make_bundle()
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert not has_temperature(folder / INT8_FILE)
    with pytest.raises(BundleError, match="has no temperature: export the bundle again"):
        scale_temperature(folder / INT8_FILE, 2.0)
    (tmp_path / "data.tsv").write_text("text\tlabel\nwake me up at 7\talarm\n", encoding="utf-8")
    found = calibrate(folder, open_corpus(tmp_path / "data.tsv"))
    assert (found.temperature, found.threshold) == (None, None)
    assert found.note == "its graph has no temperature: export the bundle again to get one"
    assert found.sha256 == open_bundle(folder).sha256
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_makes_no_sense_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("text\tlabel\nwake me up at 7\talarm\n", encoding="utf-8")
    data = open_corpus(tmp_path / "data.tsv")
    folder = make_bundle(threshold=0.5)
    with pytest.raises(ConfigError, match="leaves nothing to calibrate"):
        calibrate(folder, data, temperature=False)
    with pytest.raises(ConfigError, match="has a threshold, which another temperature would shift"):
        calibrate(folder, data)
