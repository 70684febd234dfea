"""The C example: its labels, its WordPiece against the tokenizers package, and what it refuses."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from mixkd.console import visible
from mixkd.runtime import open_bundle
from tests.examples.c_example import Library, build
from tests.examples.conftest import Answers, shown_answers
from tests.examples.programs import ask, ask_scores
from tests.examples.strange import STRANGE, Change, copy_fixture, edit, with_values, without
from tests.tiny import tiny_texts

pytestmark = [pytest.mark.slow, pytest.mark.alone]

TOKENS = 24
TEXT = "send my money to the account"
PROGRAMS = ("classify", "classify_sanitized")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder with the program in it, once more with ASan and UBSan."""
    return build(tmp_path_factory.mktemp("built"), "classify", "sanitize")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return copy_fixture(tmp_path / "bundle")


def run(
    program: Path, bundle: Path, *, text: str = TEXT, leaks: bool = True
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(program), str(bundle)],
        env=os.environ | {"ASAN_OPTIONS": f"detect_leaks={leaks:d}"},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,  # for what would wait for ever
    )


def refusal(program: Path, bundle: Path) -> str:
    """Return the line with which a program refuses a bundle; it ends there and then, and frees nothing."""
    done = run(program, bundle, leaks=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "\x1b" not in done.stderr
    return done.stderr


def test_c_gives_pythons_labels(student_bundle: Path, answers: Answers, built: Path, tmp_path: Path) -> None:
    assert ask([str(built / "classify"), str(student_bundle)], answers.texts, tmp_path) == answers.labels


def test_c_gives_pythons_labels_for_a_narrowed_student(
    narrowed_bundle: Path, narrowed_answers: Answers, built: Path, tmp_path: Path
) -> None:
    command = [str(built / "classify"), str(narrowed_bundle)]
    assert ask(command, narrowed_answers.texts, tmp_path) == narrowed_answers.labels


def test_c_gives_the_scores_of_a_calibrated_bundle(
    calibrated_bundle: Path, built: Path, tmp_path: Path
) -> None:
    found = ask_scores([str(built / "classify"), str(calibrated_bundle)], tiny_texts(20), tmp_path)
    assert found == shown_answers(calibrated_bundle, tiny_texts(20))


def test_c_gives_pythons_labels_for_a_student_without_attention(
    bag_bundle: Path, bag_answers: Answers, built: Path, tmp_path: Path
) -> None:
    command = [str(built / "classify"), str(bag_bundle)]
    assert ask(command, bag_answers.texts, tmp_path) == bag_answers.labels


def test_c_reads_the_manifest_and_tokenises_every_character(student_bundle: Path, built: Path) -> None:
    library = Library(built)
    bundle, manifest = library.read(student_bundle), open_bundle(student_bundle).manifest
    assert (bundle.label_texts, bundle.max_length, bundle.threshold) == (
        *(manifest.labels, manifest.max_length),
        0,
    )
    tokenizer = Tokenizer.from_file(str(student_bundle / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    for text in _texts_of_every_script():
        assert library.encode(bundle, text.encode(), TOKENS) == tokenizer.encode(text).ids, ascii(text)


def _texts_of_every_script() -> list[str]:
    # Every character of the first plane and some of the others, within a word; then all of them mixed.
    codes = [code for code in range(0x10000) if not 0xD800 <= code < 0xE000] + list(
        range(0x10000, 0x110000, 61)
    )
    chance = random.Random(1)
    words = [f"go{chr(code)}ing" for code in codes]
    mixed = ["".join(map(chr, chance.choices(codes, k=chance.randint(0, 150)))) for _ in range(500)]
    return [*(" ".join(words[start : start + 4]) for start in range(0, len(words), 4)), *mixed, "a" * 101]


def _with_piece(piece: str, number: int) -> Change:
    return lambda content: content["model"]["vocab"].update({piece: number})


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        *(pytest.param(*case, id=name) for name, case in STRANGE.items()),
        pytest.param("mkd.json", with_values(max_length=3), "from 4 to", id="no room for a pair"),
        pytest.param("mkd.json", with_values(max_length=-1), "from 4 to", id="negative length"),
        pytest.param("mkd.json", with_values(max_length=2**64 + 32), "from 4 to", id="length over 2^64"),
        pytest.param(
            "mkd.json", with_values(labels=[""] * 900), "5 probabilities for the 900", id="more labels"
        ),
        pytest.param(
            "mkd.json", with_values(labels=["a"]), "5 probabilities for the 1 lab", id="fewer labels"
        ),
        pytest.param("mkd.json", with_values(labels=["a\0b"]), "holds NUL", id="NUL"),
        pytest.param("mkd.json", with_values(threshold=[]), "threshold must be", id="threshold as list"),
        pytest.param("mkd.json", with_values(model_file="../m.onnx"), "leaves the folder", id="file outside"),
        pytest.param("mkd.json", with_values(model_file="/m.onnx"), "leaves the folder", id="absolute file"),
        pytest.param("mkd.json", with_values(model_file="a\n\x1b[2J"), "a\\n\\x1b[2J", id="file of no name"),
        pytest.param("mkd.json", with_values(task="multi_label"), 'must be "single_label"', id="task"),
        pytest.param("mkd.json", with_values(format_version=12), "format_version must be 1", id="format"),
        pytest.param("mkd.json", without("labels"), "labels is missing", id="absent labels"),
        pytest.param("tokenizer.json", without("normalizer"), "normalizer is missing", id="no normalizer"),
        pytest.param(
            "tokenizer.json",
            lambda content: content["normalizer"].update(lowercase=False),
            "lowercase must be true",
            id="cased",
        ),
        pytest.param("tokenizer.json", _with_piece("a", 2**63), "a piece's id must be", id="id of 2^63"),
        pytest.param(
            "tokenizer.json", _with_piece("[CLS]", 10**9), "onnxruntime: ", id="id beyond the table"
        ),
    ],
)
def test_c_refuses_a_strange_bundle_in_one_line(
    built: Path, bundle: Path, program: str, name: str, change: Change, said: str
) -> None:
    edit(bundle / name, change)
    assert said in refusal(built / program, bundle)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "a { is missing", id="empty"),
        pytest.param(b'{"labels": ["a', 'a " is missing', id="cut in a label"),
        pytest.param(b'{"labels": ["\\u12', "four hexadecimal digits", id="cut in an escape"),
        pytest.param(b'{"labels": ["\\ud83d"]}', "half of a surrogate pair", id="lone surrogate"),
        pytest.param(b'{"labels": ["\xff"]}', "not UTF-8", id="no utf-8"),
        pytest.param(b'{"more": ' + b"[" * 65 + b"]" * 65 + b"}", "nested deeper than 64", id="nested"),
        pytest.param(b'{"more": ' + b"[" * 10**6, "nested deeper than 64", id="nested without end"),
        pytest.param(b'{"threshold": 0.5, "threshold": 0.5}', "threshold stands twice", id="twice"),
    ],
)
def test_c_refuses_a_manifest_that_is_damaged(
    built: Path, bundle: Path, program: str, content: bytes, said: str
) -> None:
    (bundle / "mkd.json").write_bytes(content)
    assert said in refusal(built / program, bundle)


def test_c_refuses_what_is_no_regular_file(built: Path, bundle: Path) -> None:
    (bundle / "mkd.json").unlink()
    assert "No such file" in refusal(built / "classify", bundle)
    (bundle / "mkd.json").mkdir()
    assert "not a regular file" in refusal(built / "classify", bundle)
    (bundle / "mkd.json").rmdir()
    os.mkfifo(bundle / "mkd.json")  # nobody writes to it
    assert "not a regular file" in refusal(built / "classify", bundle)


def test_c_refuses_a_manifest_larger_than_any(built: Path, bundle: Path) -> None:
    with (bundle / "mkd.json").open("ab") as file:
        file.truncate(2**34)  # of holes
    assert "larger than any" in refusal(built / "classify", bundle)


def test_c_refuses_a_graph_that_breaks_off_while_it_answers(built: Path, bundle: Path) -> None:
    # The fixture's graph has 32 positions.
    edit(bundle / "mkd.json", with_values(max_length=40))
    done = run(built / "classify_sanitized", bundle, text="pay\n" + "pay " * 40, leaks=False)
    assert (done.returncode, done.stdout.count("\n"), done.stderr.count("\n")) == (1, 1, 1)
    assert done.stderr.startswith("onnxruntime: ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_c_shows_a_label_as_mkd_does(built: Path, bundle: Path, program: str) -> None:
    unsafe = [*range(1, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    strange = "".join(map(chr, unsafe)) + "é😀\ufffd" + "ok\t0.9999\nfake_label\t1.0000\n"
    edit(bundle / "mkd.json", lambda content: content["labels"].__setitem__(1, strange))
    done = run(built / program, bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition("\t")[0] == visible(strange)
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_c_decodes_the_escapes_of_a_manifest_that_was_laid_out_anew(
    built: Path, bundle: Path, program: str
) -> None:
    label = 'é "\\/\u20ac😀'
    edit(bundle / "mkd.json", lambda content: content["labels"].__setitem__(1, label))
    content = json.loads((bundle / "mkd.json").read_text(encoding="utf-8"))
    (bundle / "mkd.json").write_text(json.dumps(content, indent="\t", sort_keys=True), encoding="ascii")
    assert "\\u00e9" in (bundle / "mkd.json").read_text(encoding="ascii")
    assert run(built / program, bundle).stdout.startswith(f"{label}\t0.9")


@pytest.mark.parametrize("program", PROGRAMS)
def test_c_abstains_below_the_bundles_threshold(built: Path, bundle: Path, program: str) -> None:
    edit(bundle / "mkd.json", with_values(threshold=1.0, abstain_label="nothing\nof that"))
    assert run(built / program, bundle).stdout.startswith("nothing\\nof that\t")


def test_c_reads_any_bytes_as_text(built: Path, bundle: Path) -> None:
    chance = random.Random(1)
    lines = [chance.randbytes(chance.randint(0, 300)).replace(b"\n", b"") for _ in range(500)]
    done = subprocess.run(
        [built / "classify_sanitized", bundle],
        input=b"".join(line + b"\n" for line in lines),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == len(lines)
