"""The C example: its labels, and its WordPiece against the tokenizers package."""

import ctypes
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from mixkd.runtime import open_bundle
from tests.examples.conftest import Answers
from tests.examples.programs import ask, copy_example
from tests.tools import need, unavailable

pytestmark = [pytest.mark.slow, pytest.mark.alone]

HEADERS = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime")
TOKENS = 24


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built as its README says, and its tokenizer as a library for ctypes."""
    make, compiler = need("make", package="make"), need("cc", package="gcc")
    headers = next((name for name in HEADERS if Path(name, "onnxruntime_c_api.h").exists()), None)
    if headers is None:
        unavailable("needs onnxruntime_c_api.h: run scripts/install_tools.sh")
    folder = copy_example("c", tmp_path_factory.mktemp("built"))
    settings = [f"PYTHON={sys.executable}", f"ORT_INCLUDE={headers}", "CFLAGS=-O2 -Wall -Wextra -Werror"]
    subprocess.run([make, "-C", str(folder), "-B", *settings], check=True, capture_output=True)
    library = [compiler, "-std=c11", "-O2", "-shared", "-fPIC", "-o", "bundle.so", "wordpiece.c", "bundle.c"]
    subprocess.run(library, cwd=folder, check=True)
    return folder


def test_c_gives_pythons_labels(student_bundle: Path, answers: Answers, built: Path, tmp_path: Path) -> None:
    assert ask([str(built / "classify"), str(student_bundle)], answers.texts, tmp_path) == answers.labels


class _Vocabulary(ctypes.Structure):
    _fields_ = (("pieces", ctypes.c_void_p), ("count", ctypes.c_size_t))


class _Bundle(ctypes.Structure):
    _fields_ = (
        ("vocabulary", _Vocabulary),
        ("labels", ctypes.POINTER(ctypes.c_char_p)),
        ("label_count", ctypes.c_size_t),
        ("max_length", ctypes.c_size_t),
        ("threshold", ctypes.c_double),
        ("abstain_label", ctypes.c_char_p),
        ("model_path", ctypes.c_char_p),
    )


def test_c_reads_the_manifest_and_tokenises_every_character(student_bundle: Path, built: Path) -> None:
    library = ctypes.CDLL(str(built / "bundle.so"))
    library.read_bundle.restype = _Bundle
    library.wordpiece_encode.restype = ctypes.c_size_t
    bundle = library.read_bundle(str(student_bundle).encode())
    labels = tuple(bundle.labels[i].decode() for i in range(bundle.label_count))
    manifest = open_bundle(student_bundle).manifest
    assert (labels, bundle.max_length, bundle.threshold) == (manifest.labels, manifest.max_length, 0)

    ids = (ctypes.c_int64 * TOKENS)()
    room = ctypes.c_size_t(TOKENS)
    tokenizer = Tokenizer.from_file(str(student_bundle / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    for text in _texts_of_every_script():
        data = text.encode()
        count = library.wordpiece_encode(
            ctypes.byref(bundle.vocabulary), data, ctypes.c_size_t(len(data)), ids, room
        )
        assert ids[:count] == tokenizer.encode(text).ids, ascii(text)


def _texts_of_every_script() -> list[str]:
    # Every character of the first plane and some of the others, within a word; then all of them mixed.
    codes = [code for code in range(0x10000) if not 0xD800 <= code < 0xE000] + list(
        range(0x10000, 0x110000, 61)
    )
    chance = random.Random(1)
    words = [f"go{chr(code)}ing" for code in codes]
    mixed = ["".join(map(chr, chance.choices(codes, k=chance.randint(0, 150)))) for _ in range(500)]
    return [*(" ".join(words[start : start + 4]) for start in range(0, len(words), 4)), *mixed, "a" * 101]
