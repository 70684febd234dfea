"""What may stand in a bundle's folder, and what happens to it while somebody writes there."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mixkd.errors import BundleError
from mixkd.outputs import whole_file
from mixkd.runtime import open_bundle
from mixkd.runtime.bundle import write_manifest
from mixkd.runtime.manifest import (
    INT8_FILE,
    MANIFEST_FILE,
    parse_manifest,
)
from tests.runtime.conftest import MakeBundle


def add_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine", encoding="utf-8")


def add_weights_beside_the_model(folder: Path) -> None:
    (folder / f"{INT8_FILE}_data").write_bytes(b"0123")


def add_link(folder: Path) -> None:
    (folder / "onnx" / "model_quantized.onnx_data").symlink_to("/etc/passwd")


def add_linked_folder(folder: Path) -> None:
    (folder / "onnx" / "more").symlink_to("/etc")


def add_linked_temporary(folder: Path) -> None:
    (folder / f".{MANIFEST_FILE}.mkd-0123abcd.partial").symlink_to("/etc/passwd")


def add_git(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("[core]", encoding="utf-8")


def add_deep_folders(folder: Path) -> None:
    deep = folder / "onnx" / "/".join("d" * 500)
    deep.mkdir(parents=True)


def add_pipe(folder: Path) -> None:
    os.mkfifo(folder / "onnx" / "pipe")


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    "add",
    [
        add_file,
        add_weights_beside_the_model,
        add_link,
        add_linked_folder,
        add_linked_temporary,
        add_git,
        add_deep_folders,
        add_pipe,
    ],
)
def test_open_bundle_refuses_what_the_manifest_does_not_list(
    make_bundle: MakeBundle, add: Callable[[Path], None], verify: bool
) -> None:
    folder = make_bundle()
    add(folder)
    with pytest.raises(BundleError, match=r"move it out of the folder|is a link: a bundle holds"):
        open_bundle(folder, verify=verify)


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(BundleError, match="is no regular file"):
        open_bundle(folder)


def test_a_manifest_that_is_being_written_disturbs_no_reader(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    with whole_file(folder / MANIFEST_FILE) as file:
        file.write("half of it")
        file.flush()
        open_bundle(folder)
        file.seek(0)
        file.truncate()
        file.write((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    open_bundle(folder)


def test_calibrating_a_bundle_with_a_planted_link_writes_through_none(
    make_bundle: MakeBundle, tmp_path: Path
) -> None:
    folder, mine = make_bundle(), tmp_path / "mine"
    mine.write_text("mine", encoding="utf-8")
    (folder / f".{MANIFEST_FILE}.partial").symlink_to(mine)
    write_manifest(folder, parse_manifest((folder / MANIFEST_FILE).read_bytes(), folder))
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not (folder / MANIFEST_FILE).is_symlink()


@pytest.mark.slow
def test_two_writers_and_a_reader_of_one_manifest_never_meet(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    manifest = open_bundle(folder).manifest
    stop = threading.Event()

    def keep_writing(threshold: float) -> int:
        written = 0
        while not stop.is_set():
            write_manifest(folder, replace(manifest, threshold=threshold))
            written += 1
        return written

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(keep_writing, threshold) for threshold in (0.25, 0.75)]
        try:
            seen = {open_bundle(folder).manifest.threshold for _ in range(200)}
        finally:
            stop.set()
        assert all(writer.result() > 1 for writer in writers)
    assert seen <= {None, 0.25, 0.75}
    assert len(seen) > 1
