"""The Node example: transformers.js loads a bundle from its folder as it is."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.console import visible
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.bundle import write_manifest
from tests.examples.conftest import Answers, shown_answers
from tests.examples.programs import ask, ask_scores, copy_example
from tests.examples.strange import STRANGE, Change, copy_fixture, edit, with_values
from tests.tiny import tiny_texts
from tests.tools import need

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_node_gives_pythons_labels(student_bundle: Path, answers: Answers, tmp_path: Path) -> None:
    node = need("node", package="nodejs")
    example = copy_example("node", tmp_path)
    command = [node, str(example / "classify.mjs"), str(student_bundle)]
    assert ask(command, answers.texts, tmp_path) == answers.labels


def test_node_gives_pythons_labels_for_a_narrowed_student(
    narrowed_bundle: Path, narrowed_answers: Answers, tmp_path: Path
) -> None:
    node = need("node", package="nodejs")
    command = [node, str(copy_example("node", tmp_path) / "classify.mjs"), str(narrowed_bundle)]
    assert ask(command, narrowed_answers.texts, tmp_path) == narrowed_answers.labels


def test_node_gives_the_scores_of_a_calibrated_bundle(calibrated_bundle: Path, tmp_path: Path) -> None:
    node = need("node", package="nodejs")
    # transformers.js takes the logits, and has a softmax of its own.
    command = [node, str(copy_example("node", tmp_path) / "classify.mjs"), str(calibrated_bundle)]
    found = ask_scores(command, tiny_texts(20), tmp_path)
    assert found == shown_answers(calibrated_bundle, tiny_texts(20))


def test_node_gives_pythons_labels_for_a_student_without_attention(
    bag_bundle: Path, bag_answers: Answers, tmp_path: Path
) -> None:
    command = [
        need("node", package="nodejs"),
        str(copy_example("node", tmp_path) / "classify.mjs"),
        str(bag_bundle),
    ]
    assert ask(command, bag_answers.texts, tmp_path) == bag_answers.labels


def test_node_gives_pythons_labels_for_a_trimmed_vocabulary(
    trimmed_bundle: Path, trimmed_answers: Answers, tmp_path: Path
) -> None:
    node = need("node", package="nodejs")
    command = [node, str(copy_example("node", tmp_path) / "classify.mjs"), str(trimmed_bundle)]
    assert ask(command, trimmed_answers.texts, tmp_path) == trimmed_answers.labels


def test_node_abstains_below_the_bundles_threshold(
    student_bundle: Path, answers: Answers, tmp_path: Path
) -> None:
    node = need("node", package="nodejs")
    example, folder = copy_example("node", tmp_path), tmp_path / "calibrated"
    shutil.copytree(student_bundle, folder)
    manifest = open_bundle(folder).manifest
    write_manifest(folder, replace(manifest, threshold=0.5, abstain_label="nothing of that"))
    texts = answers.texts[:100]
    found = ask([node, str(example / "classify.mjs"), str(folder)], texts, tmp_path)
    assert found == [answer.label for answer in Classifier.load(folder, threads=1).predict(texts)]
    assert 0 < found.count("nothing of that") < len(texts)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        *(pytest.param(*case, id=name) for name, case in STRANGE.items()),
        pytest.param(
            "mkd.json", with_values(labels=["a"] * 9), "5 outputs for the 9 labels", id="more labels"
        ),
        pytest.param("mkd.json", with_values(labels=["a"]), "5 outputs for the 1 labels", id="fewer labels"),
        pytest.param("mkd.json", with_values(labels=list("abcde")), "has other labels", id="other labels"),
        pytest.param(
            "mkd.json", with_values(max_length=31), "cuts at 32 tokens, mkd.json at 31", id="length"
        ),
        pytest.param("mkd.json", lambda content: content.clear(), "labels must", id="empty"),
    ],
)
def test_node_refuses_a_strange_bundle_in_one_line(
    tmp_path: Path, name: str, change: Change, said: str
) -> None:
    done = _run(tmp_path, name, change)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_node_shows_a_label_as_mkd_does(tmp_path: Path) -> None:
    unsafe = [*range(0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    label = "".join(map(chr, unsafe)) + "é😀\ufffdok\t0.9999\nfake_label\t1.0000\n"
    done = _run(tmp_path, "mkd.json", with_values(threshold=1.0, abstain_label=label))
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition("\t")[0] == visible(label)
    assert done.stdout.count("\n") == 1


def _run(folder: Path, name: str, change: Change) -> "subprocess.CompletedProcess[str]":
    bundle = copy_fixture(folder / "bundle")
    edit(bundle / name, change)
    command = [
        need("node", package="nodejs"),
        str(copy_example("node", folder) / "classify.mjs"),
        str(bundle),
    ]
    return subprocess.run(command, input="pay\n", capture_output=True, text=True, check=False)
