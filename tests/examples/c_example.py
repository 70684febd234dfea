"""Building the C example from a copy of its folder, as its README says."""

import ctypes
import subprocess
import sys
from pathlib import Path

from tests.examples.programs import copy_example
from tests.tools import need, unavailable

HEADERS = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime")
LIBRARY_SOURCES = ("bundle.c", "wordpiece.c", "json.c", "utf8.c")
PROBLEM_BYTES = 512


def build(folder: Path, *targets: str) -> Path:
    """Return a copy of the example in which make has built targets; warnings are errors."""
    make = need("make", package="make")
    need("cc", package="gcc")
    target = copy_example("c", folder)
    settings = [f"PYTHON={sys.executable}", "CFLAGS=-O2 -Wall -Wextra -Wpedantic -Werror"]
    if "fuzz" not in targets:
        settings.append(f"ORT_INCLUDE={headers()}")
    done = subprocess.run(
        [make, "-C", str(target), "-B", *settings, *targets], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return target


def headers() -> str:
    """Return the folder of onnxruntime's C header."""
    folder = next((name for name in HEADERS if Path(name, "onnxruntime_c_api.h").exists()), None)
    if folder is None:
        unavailable("needs onnxruntime_c_api.h: run scripts/install_tools.sh")
    assert folder is not None
    return folder


class Vocabulary(ctypes.Structure):
    """`wordpiece.h`'s."""

    _fields_ = (
        ("pieces", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("cls", ctypes.c_int64),
        ("sep", ctypes.c_int64),
        ("unk", ctypes.c_int64),
    )


class CBundle(ctypes.Structure):
    """`bundle.h`'s."""

    _fields_ = (
        ("vocabulary", Vocabulary),
        ("labels", ctypes.POINTER(ctypes.c_char_p)),
        ("label_count", ctypes.c_size_t),
        ("max_length", ctypes.c_int64),
        ("threshold", ctypes.c_double),
        ("abstain_label", ctypes.c_char_p),
        ("model_file", ctypes.c_char_p),
    )

    @property
    def label_texts(self) -> tuple[str, ...]:
        """Its labels."""
        return tuple(self.labels[i].decode() for i in range(self.label_count))


class Library:
    """What reads a bundle and encodes texts, in this process."""

    def __init__(self, example: Path) -> None:
        """Compile it in a folder where `unicode_tables.h` has been made."""
        compiler = need("cc", package="gcc")
        command = [compiler, "-std=c11", "-O2", "-shared", "-fPIC", "-o", "bundle.so", *LIBRARY_SOURCES]
        subprocess.run(command, cwd=example, check=True)
        self._library = ctypes.CDLL(str(example / "bundle.so"))
        self._library.bundle_read.restype = self._library.bundle_parse.restype = ctypes.c_bool
        self._library.wordpiece_encode.restype = ctypes.c_size_t

    def read(self, folder: Path) -> CBundle:
        """Return a bundle; it is never freed."""
        bundle, problem = CBundle(), ctypes.create_string_buffer(PROBLEM_BYTES)
        assert self._library.bundle_read(ctypes.byref(bundle), str(folder).encode(), problem), problem.value
        return bundle

    def parse(self, manifest: bytes, tokenizer: bytes) -> CBundle | str:
        """Return a bundle, or why it is none."""
        bundle, problem = CBundle(), ctypes.create_string_buffer(PROBLEM_BYTES)
        sizes = ctypes.c_size_t(len(manifest)), ctypes.c_size_t(len(tokenizer))
        good = self._library.bundle_parse(
            ctypes.byref(bundle), manifest, sizes[0], tokenizer, sizes[1], problem
        )
        return bundle if good else problem.value.decode()

    def encode(self, bundle: CBundle, text: bytes, room: int) -> list[int]:
        """Return the ids of a text."""
        ids = (ctypes.c_int64 * room)()
        count = self._library.wordpiece_encode(
            ctypes.byref(bundle.vocabulary), text, ctypes.c_size_t(len(text)), ids, ctypes.c_size_t(room)
        )
        return ids[:count]

    def free(self, bundle: CBundle) -> None:
        """Give back its memory."""
        self._library.bundle_free(ctypes.byref(bundle))
