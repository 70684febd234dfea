"""What is hashed is what is loaded, whoever writes to the bundle meanwhile."""

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mixkd.errors import BundleError
from mixkd.runtime import Classifier, Prediction, Preset
from mixkd.runtime.files import OpenFile, check_listing
from mixkd.runtime.manifest import INT8_FILE
from tests.runtime.conftest import FIXTURE, MakeBundle

LOADS = int(os.environ.get("MKD_SWAPPED_LOADS", "50"))
TEXT = "send my money to the account"
Swap = Callable[[Path, bytes], None]


def by_rename(path: Path, content: bytes) -> None:
    beside = path.parent.parent.with_name(f"{path.name}.{random.random()}")
    beside.write_bytes(content)
    beside.replace(path)


def in_place(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


def in_place_with_the_old_times(path: Path, content: bytes) -> None:
    found = path.stat()
    in_place(path, content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


SWAPS = [by_rename, in_place, in_place_with_the_old_times]


def other_model() -> bytes:
    """Return the fixture's model with another bias in its head: as long, as valid, with other answers."""
    content = bytearray((FIXTURE / INT8_FILE).read_bytes())
    name = content.index(b"\x42\x0fclassifier.bias")
    start = content.index(b"\x4a\x14", name) + 2
    assert start < name + 40
    content[start : start + 20] = bytes.fromhex("000020c1") * 4 + bytes.fromhex("00002041")
    return bytes(content)


def answer(folder: Path, preset: Preset = Preset.BALANCED) -> Prediction:
    return Classifier.load(folder, threads=1, preset=preset).predict(TEXT)


@pytest.fixture
def right() -> Prediction:
    return answer(FIXTURE)


def test_the_other_model_answers_otherwise(make_bundle: MakeBundle, right: Prediction) -> None:
    folder = make_bundle(lambda folder: (folder / INT8_FILE).write_bytes(other_model()))
    assert answer(folder).label != right.label


@pytest.mark.parametrize("preset", [Preset.BALANCED, Preset.LOW_MEMORY])
@pytest.mark.parametrize("swap", SWAPS)
def test_a_model_that_is_swapped_after_it_was_hashed_never_answers(
    make_bundle: MakeBundle,
    monkeypatch: pytest.MonkeyPatch,
    swap: Swap,
    preset: Preset,
    right: Prediction,
) -> None:
    folder, hashed = make_bundle(), OpenFile.sha256

    def hash_and_swap(self: OpenFile, *, lean: bool = False) -> str:
        found = hashed(self, lean=lean)
        if self.path.name == Path(INT8_FILE).name:
            monkeypatch.setattr(OpenFile, "sha256", hashed)
            swap(self.path, other_model())
        return found

    monkeypatch.setattr(OpenFile, "sha256", hash_and_swap)
    if swap is by_rename and preset is Preset.BALANCED:
        assert answer(folder, preset) == right
    else:  # the file itself is another, or the one at the path, which low-memory maps
        with pytest.raises(BundleError, match="was changed while it was being loaded"):
            answer(folder, preset)


@contextmanager
def swapping(path: Path, swap: Swap, *, load: float) -> Iterator[None]:
    """Put one model and the other in place, again and again, until the block ends.

    Args:
        path: The model.
        swap: How it is replaced.
        load: The seconds that a load takes; some find the right model from beginning to end.
    """
    contents = [path.read_bytes(), other_model()]
    stop = threading.Event()

    def go_on() -> None:
        chance = random.Random(1)
        while not stop.is_set():
            for content, longest in zip(contents, (8 * load, load), strict=True):
                swap(path, content)
                time.sleep(chance.random() * longest)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("preset", [Preset.BALANCED, Preset.LOW_MEMORY])
@pytest.mark.parametrize("swap", [by_rename, in_place])
def test_no_load_among_swaps_answers_from_a_file_that_was_not_hashed(
    make_bundle: MakeBundle, swap: Swap, preset: Preset, right: Prediction
) -> None:
    folder = make_bundle()
    answered, started = 0, time.perf_counter()
    answer(folder, preset)
    with swapping(folder / INT8_FILE, swap, load=time.perf_counter() - started):
        for number in itertools.count():
            # On a busy machine a load takes longer than was measured: it may take many until one succeeds.
            if number >= LOADS and (answered or number == 20 * LOADS):
                break
            try:
                found = answer(folder, preset)
            except BundleError:
                continue
            assert found == right
            answered += 1
    assert answered > 0


def test_a_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with OpenFile(path) as file:
        assert file.read() == b"0123456789"
        assert file.is_unchanged()
        path.write_bytes(b"012")
        assert not file.is_unchanged()
        with pytest.raises(BundleError, match="was changed while it was being loaded"):
            file.read()


def test_a_file_that_loses_its_name_is_unchanged(tmp_path: Path) -> None:
    # A new export takes the old one's place: who is loading the old one gets all of it.
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with OpenFile(path) as file:
        file.sha256()
        (tmp_path / "new").write_bytes(b"new")
        (tmp_path / "new").replace(path)
        assert file.is_unchanged()
        assert not file.stands_at_its_path()
        assert file.read() == b"old"


def test_without_proc_the_content_is_handed_over(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, right: Prediction
) -> None:
    monkeypatch.setattr(OpenFile, "for_native_code", lambda self: None)
    assert answer(make_bundle()) == right


@pytest.mark.parametrize("kind", ["link", "folder", "absent", "pipe"])
def test_only_a_regular_file_is_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    before = open_descriptors()
    with pytest.raises(BundleError):
        OpenFile(path)
    assert open_descriptors() == before


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").glob("*"))


def test_listing_takes_a_folder_of_a_files_name_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    with pytest.raises(BundleError, match="is no regular file"):
        check_listing(tmp_path, ["onnx", "onnx/model.onnx"], ignored=lambda _: False)
