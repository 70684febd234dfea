"""New texts against those of the export: what counts as drift, and what a bundle must hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixkd.corpus.corpus import open_corpus
from mixkd.errors import BundleError
from mixkd.runtime import open_bundle
from mixkd.runtime.bundle import write_manifest
from mixkd.runtime.drift import REFERENCE, Profile, compare, drift, write_reference
from tests.runtime.conftest import MakeBundle


def profile_of(labels: list[int], lengths: list[int] | None = None) -> Profile:
    total = sum(labels)
    return Profile(
        labels=tuple(labels), scores=(0, total), lengths=tuple(lengths or [0, total]), unknown=(total, 0)
    )


def test_samples_of_one_source_drift_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(20))
    values = [
        compare(*(profile_of(rng.multinomial(500, shares).tolist()) for _ in range(2)), seed=seed)
        for seed in range(60)
    ]
    small = [found.differences[0].p < 0.05 for found in values]
    assert np.mean(small) <= 0.15  # p is uniform where nothing differs
    assert sum(found.found for found in values) <= 1


def test_label_that_is_gone_drifts_and_a_tiny_change_of_many_texts_does_not() -> None:
    gone = compare(profile_of([100] * 10), profile_of([0] + [100] * 9))
    assert {each.of for each in gone.differences if each.drifts} == {"labels"}
    tiny = compare(profile_of([500_000, 500_000]), profile_of([505_000, 495_000]))
    assert tiny.differences[0].p < 0.001
    assert not tiny.found


def test_longer_texts_drift_by_their_length() -> None:
    found = compare(profile_of([50, 50], [80, 20]), profile_of([50, 50], [20, 80]))
    assert {each.of for each in found.differences if each.drifts} == {"lengths"}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    rows = ["what is my balance", "wake me up at 7", "is it going to rain", "pay the account"] * 40
    file = tmp_path / "texts.tsv"
    file.write_text("\n".join(["text", *rows]) + "\n", encoding="utf-8")
    return file


def test_texts_in_another_script_have_unknown_pieces(
    make_bundle: MakeBundle, texts: Path, tmp_path: Path
) -> None:
    bundle = make_bundle()
    write_reference(bundle, open_corpus(str(texts)))
    assert not drift(bundle, open_corpus(str(texts))).found
    foreign = tmp_path / "foreign.tsv"
    foreign.write_text("text\n" + "Сколько денег на счёте\n" * 100, encoding="utf-8")
    found = drift(bundle, open_corpus(str(foreign)))
    assert "unknown" in {each.of for each in found.differences if each.drifts}
    kept = open_bundle(bundle).manifest.quality[REFERENCE]
    assert kept["unknown"] == [160, 0]
    assert "balance" not in str(kept.values())


@pytest.mark.parametrize(
    "damage", [None, {"labels": ["a"]}, {"scores": "x"}, {"low": None}, {"lengths": [1]}]
)
def test_reference_that_is_none_is_refused(
    damage: dict[str, object] | None, make_bundle: MakeBundle, texts: Path
) -> None:
    bundle = make_bundle()
    with pytest.raises(BundleError, match="has no reference to compare with: export it again with --data"):
        drift(bundle, open_corpus(str(texts)))
    write_reference(bundle, open_corpus(str(texts)))
    manifest = open_bundle(bundle).manifest
    body = {} if damage is None else {**manifest.quality[REFERENCE], **damage}
    write_manifest(bundle, replace(manifest, quality={**manifest.quality, REFERENCE: body}))
    with pytest.raises(BundleError, match="reference"):
        drift(bundle, open_corpus(str(texts)))
