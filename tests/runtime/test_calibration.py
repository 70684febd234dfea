import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.corpus.corpus import open_corpus
from mixkd.errors import ConfigError, DataError
from mixkd.runtime import Classifier, Task, open_bundle
from mixkd.runtime.abstention import best_threshold
from mixkd.runtime.calibration import calibrate
from tests.runtime.conftest import MakeBundle

IN_SCOPE = "text\tlabel\nsend my money\ttransfer\nwake me up at 7\talarm\nis it going to rain\tweather\n"
STRANGE = "text\nwwq zzk\nmy my my my 5 5 5\nx y z, x y z\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train.tsv", "validation.tsv", "test.tsv"):
        (folder / name).write_text(IN_SCOPE, encoding="utf-8")
    (tmp_path / "strange.tsv").write_text(STRANGE, encoding="utf-8")
    return folder


def test_best_threshold_is_that_of_a_plain_search() -> None:
    chance = np.random.default_rng(3)
    inside, outside = chance.beta(5, 1, 200), chance.beta(2, 2, 50)
    right = chance.random(200) < inside
    found = best_threshold(inside, right, outside)

    def gain(threshold: float) -> float:
        return float(np.mean(right & (inside >= threshold)) + np.mean(outside < threshold))

    assert gain(found) == pytest.approx(max(gain(t) for t in np.linspace(0, 1, 5001)), abs=1e-9)


def test_best_threshold_is_zero_when_abstaining_gains_nothing() -> None:
    assert best_threshold(np.array([0.2, 0.3]), np.array([True, True]), np.array([0.9])) == 0


def test_calibrate_writes_what_the_classifier_then_does(make_bundle: MakeBundle, data: Path) -> None:
    folder = make_bundle(quality={"student-int8": {"accuracy": 0.9}})
    strange = open_corpus(data.parent / "strange.tsv")
    found = calibrate(folder, open_corpus(data), strange, out_of_scope_test=strange, abstain_label="oos")
    assert found.judged_on == found.chosen_on is not None
    manifest = open_bundle(folder).manifest
    assert (manifest.threshold, manifest.abstain_label) == (found.threshold, "oos")
    assert manifest.quality["student-int8"] == {"accuracy": 0.9}
    assert manifest.quality["abstention"]["threshold"] == found.threshold
    classifier = Classifier.load(folder, threads=1)
    answers = [classifier.predict(e.text) for e in strange.read("train")]
    assert np.mean([a.label == "oos" for a in answers]) == found.chosen_on.out_of_scope_recall
    answers = [classifier.predict(e.text) for e in open_corpus(data).read("test")]
    assert np.mean([not a.abstained for a in answers]) == found.chosen_on.in_scope_accuracy


def test_calibrate_refuses_a_text_whose_label_the_bundle_lacks(make_bundle: MakeBundle, data: Path) -> None:
    strange = open_corpus(data.parent / "strange.tsv")
    before = (folder := make_bundle()).joinpath("mkd.json").read_bytes()
    with pytest.raises(DataError, match=r"row 1: the bundle has no label None; .*--oos"):
        calibrate(folder, strange, strange)
    assert folder.joinpath("mkd.json").read_bytes() == before


def test_calibrate_refuses_a_task_without_one_best_label(make_bundle: MakeBundle, data: Path) -> None:
    strange = open_corpus(data.parent / "strange.tsv")
    with pytest.raises(ConfigError, match="only a single-label bundle is calibrated"):
        calibrate(make_bundle(task=Task.MULTI_LABEL), open_corpus(data), strange)


def test_the_command_reports_both_rates(make_bundle: MakeBundle, data: Path) -> None:
    folder, strange = make_bundle(), str(data.parent / "strange.tsv")
    arguments = ["calibrate", str(folder), "--data", str(data), "--oos", strange, "--oos-test", strange]
    spoken = CliRunner().invoke(app, arguments)
    assert spoken.exit_code == 0, spoken.output
    assert spoken.stdout.startswith("threshold 0.")
    assert "judged on 3 + 3 texts: in-scope accuracy" in spoken.stdout
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert found["chosen_on"]["in_scope_texts"] == 3
    assert open_bundle(folder).manifest.threshold == found["threshold"]
