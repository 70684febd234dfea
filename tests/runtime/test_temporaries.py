"""Replacing in one step, what killed runs leave, and folders that others hold or lay links in."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixkd.errors import OutputError
from mixkd.outputs import fresh_folder, resumable_folder, whole_file
from mixkd.ownership import MARKER_FILE
from mixkd.runtime.bundle import open_bundle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals and locks of this kind")

REPLACE = """
import sys
from pathlib import Path
from mixkd.outputs import fresh_folder
for number in range(int(sys.argv[2])):
    with fresh_folder(Path(sys.argv[1]), overwrite=True) as folder:
        (folder / "a.txt").write_text("x" * 10_000)
"""


def write_result(folder: Path, text: str = "") -> None:
    with fresh_folder(folder, overwrite=True) as temporary:
        (temporary / "a.txt").write_text(text)


@pytest.mark.slow
def test_readers_find_a_result_at_every_moment_of_its_replacement(tmp_path: Path) -> None:
    target = tmp_path / "result"
    write_result(target)
    absent = reads = 0
    with subprocess.Popen([sys.executable, "-c", REPLACE, target, "200"]) as writer:
        while writer.poll() is None:
            reads += 1
            absent += not target.is_dir()
    assert writer.returncode == 0
    assert reads > 1000
    assert absent == 0
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


REPLACE_BUNDLE = """
import shutil, sys
from pathlib import Path
from mixkd.outputs import fresh_folder
from mixkd.runtime.bundle import open_bundle, seal_bundle
for number in range(60):
    with fresh_folder(Path(sys.argv[2]), overwrite=True) as folder:
        shutil.copytree(sys.argv[1], folder, dirs_exist_ok=True)
        manifest = open_bundle(folder).manifest
        (folder / "tokenizer_config.json").write_text(f'{{"number": {number}}}')
        seal_bundle(folder, manifest)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_bundle_can_be_loaded_at_every_moment_of_its_replacement(bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", REPLACE_BUNDLE, str(bundle), str(tmp_path / "bundle")]
    loaded = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "0\n"
        while writer.poll() is None:
            open_bundle(tmp_path / "bundle")
            loaded += 1
    assert writer.returncode == 0
    assert loaded > 20


def test_writers_of_one_result_leave_one_whole_result(tmp_path: Path) -> None:
    target = tmp_path / "result"
    write_result(target)
    writers = [subprocess.Popen([sys.executable, "-c", REPLACE, target, "40"]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(path.name for path in target.iterdir()) == [MARKER_FILE, "a.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_system_without_the_exchange_replaces_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixkd.temporaries._exchanged", lambda *_: False)
    target = tmp_path / "result"
    for text in ("old", "new"):
        write_result(target, text)
    assert (target / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
import mixkd.temporaries
from mixkd.outputs import fresh_folder
mixkd.temporaries._exchanged = lambda *_: False
rename = Path.rename
def first_alone(path, target):
    rename(path, target)
    if path.name == "result":
        os.kill(os.getpid(), signal.SIGKILL)
Path.rename = first_alone
with fresh_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "a.txt").write_text("new")
"""


def test_old_result_comes_back_when_a_run_is_killed_between_the_two_steps(tmp_path: Path) -> None:
    target = tmp_path / "result"
    write_result(target, "old")
    done = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, target], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    with pytest.raises(OutputError, match="already holds a result"), fresh_folder(target):
        pass
    assert (target / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


HOLD = """
import sys, time
from pathlib import Path
from mixkd.outputs import fresh_folder
with fresh_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "a.txt").write_text("slow")
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_running_writer_keeps_its_folder_and_the_killed_ones_goes(tmp_path: Path) -> None:
    target = tmp_path / "result"
    command = [sys.executable, "-c", HOLD, target]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(command, **pipes) as killed,  # type: ignore[call-overload]
        subprocess.Popen(command, **pipes) as alive,  # type: ignore[call-overload]
    ):
        for writer in (killed, alive):
            assert writer.stdout.readline() == "begun\n"
        killed.kill()
        killed.wait()
        write_result(target, "quick")
        assert len([path for path in tmp_path.iterdir() if path.name.endswith(".partial")]) == 1
        alive.communicate("go on")
        assert alive.returncode == 0
    assert (target / "a.txt").read_text() == "slow"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_only_mkds_own_leftovers_are_removed(tmp_path: Path) -> None:
    kept = (".result.partial", ".result.mkd-zz.partial", ".other.mkd-01234567.partial", "result.old")
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.doc").touch()
    (tmp_path / ".result.mkd-89abcdef.partial").symlink_to(tmp_path / "precious")
    write_result(tmp_path / "result")
    assert {path.name for path in tmp_path.iterdir()} == {
        *kept,
        "precious",
        ".result.mkd-89abcdef.partial",
        "result",
    }
    assert (tmp_path / "precious" / "thesis.doc").exists()


def work(target: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Train, so to speak: a checkpoint, then the result."""
    with resumable_folder(target, overwrite=overwrite, resume=resume, keep="step-*") as folder:
        (folder / "step-1").touch()
        (folder / "result").mkdir()
        (folder / "result" / "a.txt").touch()


def test_work_folder_that_is_a_link_or_not_mkds_is_refused(tmp_path: Path) -> None:
    target, partial = tmp_path / "result", tmp_path / "result.partial"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.doc").touch()
    (tmp_path / "empty").mkdir()
    for linked in (mine, tmp_path / "empty", tmp_path / "nowhere"):
        partial.symlink_to(linked)
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=r"result\.partial, the work folder, was not made by mkd"):
                work(target, overwrite=overwrite)
        partial.unlink()
    mine.rename(partial)
    with pytest.raises(OutputError, match="was not made by mkd"):
        work(target, overwrite=True)
    assert (partial / "thesis.doc").exists()
    partial.rename(mine)
    work(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "mine", "result"]


WORK = """
import sys
from pathlib import Path
from mixkd.outputs import resumable_folder
with resumable_folder(Path(sys.argv[1]), overwrite=False, resume=False, keep="step-*") as folder:
    if len(sys.argv) > 2:
        (folder / "step-1").touch()
    (folder / "data").mkdir()
    (folder / "data" / "cache").touch()
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kept", [False, True])
def test_killed_work_is_removed_or_resumed_and_running_work_is_left_alone(tmp_path: Path, kept: bool) -> None:
    target = tmp_path / "result"
    command = [sys.executable, "-c", WORK, str(target), *(["kept"] if kept else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        with pytest.raises(OutputError, match="in use by another run"):
            work(target, overwrite=True)
        run.kill()
    if kept:
        with pytest.raises(OutputError, match="--resume"):
            work(target)
    work(target, resume=kept)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_every_file_has_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    for umask, file, folder in ((0o022, 0o644, 0o755), (0o027, 0o640, 0o750), (0o077, 0o600, 0o700)):
        before = os.umask(umask)
        try:
            with fresh_folder(tmp_path / f"{umask:o}") as temporary:
                (temporary / "sub").mkdir(mode=0o700)
                for name in ("open", "closed", "sub/closed"):
                    (temporary / name).touch()
                    (temporary / name).chmod(0o666 if name == "open" else 0o600)  # as safetensors does
            with whole_file(tmp_path / f"{umask:o}.json") as single:
                single.write("{}")
        finally:
            os.umask(before)
        assert (tmp_path / f"{umask:o}.json").stat().st_mode & 0o777 == file
        found = tmp_path / f"{umask:o}"
        modes = {path.name: path.stat().st_mode & 0o777 for path in [found, *found.rglob("*")]}
        assert modes == {
            found.name: folder,
            "sub": folder,
            MARKER_FILE: file,
            "open": file,
            "closed": file,
        }


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_results_of_many_kills_are_whole_and_nothing_stays(tmp_path: Path, signal_number: int) -> None:
    target = tmp_path / "result"
    write_result(target, "x" * 10_000)
    for number in range(6):
        with subprocess.Popen([sys.executable, "-c", REPLACE, target, "10000"]) as writer:
            time.sleep(0.3 + 0.013 * number)  # into the replacements
            writer.send_signal(signal_number)
        assert (target / "a.txt").read_text() == "x" * 10_000
    write_result(target)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
