import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixkd.errors import DataError, OutputError
from mixkd.outputs import check_output, clear_write_errors, fresh_folder
from mixkd.ownership import MARKER_FILE
from tests.tools import unavailable

# Run inside a disk of 1 MB that is mounted for this process alone: each writer meets its end.
FULL_DISK = """
import importlib.util, os, sys
from pathlib import Path
import numpy
from mixkd.errors import OutputError
from mixkd.outputs import fresh_folder

target = Path(sys.argv[1], "result")

def text(folder): (folder / "a.txt").write_text("x" * 3_000_000)
def array(folder): numpy.save(folder / "a.npy", numpy.zeros(1_000_000))
def weights(folder):
    import torch
    torch.save({"a": torch.zeros(1_000_000)}, folder / "a.pt")
def safe_weights(folder):
    import safetensors.numpy
    safetensors.numpy.save_file({"a": numpy.zeros(1_000_000)}, folder / "a.safetensors")

needs = {weights: "torch", safe_weights: "safetensors"}
for writer in (text, array, weights, safe_weights):
    if writer in needs and importlib.util.find_spec(needs[writer]) is None:
        continue
    try:
        with fresh_folder(target) as folder:
            writer(folder)
        sys.exit(f"{writer.__name__} met no end")
    except OutputError as error:
        assert "no space left while writing" in str(error) and "\\n" not in str(error), error
    assert os.listdir(sys.argv[1]) == [], f"{writer.__name__} left something behind"
with fresh_folder(target) as folder:
    (folder / "small.txt").write_text("fits")
assert (target / "small.txt").read_text() == "fits"
"""


def names(folder: Path) -> list[str]:
    """Return what a folder holds, the list of its files apart."""
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER_FILE)


def own_mounts() -> str | None:
    """Return why this process can't mount a disk of its own, or None where it can."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else f"no user namespaces here: {probe.stderr.strip()}"


def test_fresh_folder_says_that_the_disk_is_full_and_leaves_nothing(tmp_path: Path) -> None:
    reason = own_mounts()
    if reason is not None:
        unavailable(reason)
    shell = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell, tmp_path, sys.executable, "-c", FULL_DISK, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_fresh_folder_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "result"
    with fresh_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("a", encoding="utf-8")
        assert not target.exists()
    assert (target / "sub" / "a.txt").read_text(encoding="utf-8") == "a"
    assert [path.name for path in target.parent.iterdir()] == ["result"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, DataError])
def test_fresh_folder_leaves_what_was_there_when_the_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "result"
    with fresh_folder(target) as folder:
        (folder / "old.txt").write_text("old", encoding="utf-8")

    def write_half() -> None:
        with fresh_folder(target, overwrite=True) as folder:
            (folder / "new.txt").write_text("new", encoding="utf-8")
            raise error("stop")

    with pytest.raises(error):
        write_half()
    assert (names(tmp_path), names(target)) == (["result"], ["old.txt"])


def test_fresh_folder_replaces_all_of_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "result"
    for name in ("old", "new"):
        with fresh_folder(target, overwrite=True) as folder:
            (folder / name).touch()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["result"]


KILLED = """
import os, signal, sys
from pathlib import Path
from mixkd.outputs import fresh_folder
with fresh_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "new.txt").write_text("new")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_fresh_folder_leaves_what_was_there_when_the_process_is_killed(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with fresh_folder(target) as folder:
        (folder / "old.txt").touch()
    assert subprocess.run([sys.executable, "-c", KILLED, target], check=False).returncode == -9
    assert names(target) == ["old.txt"]
    assert len(names(tmp_path)) == 2  # what the killed run left
    with fresh_folder(target, overwrite=True) as folder:
        (folder / "new.txt").touch()
    assert (names(tmp_path), names(target)) == (["result"], ["new.txt"])


def test_check_output_refuses_a_result_without_overwrite(tmp_path: Path) -> None:
    with fresh_folder(tmp_path / "result") as folder:
        (folder / "a.txt").touch()
    with pytest.raises(OutputError, match="--overwrite"):
        check_output(tmp_path / "result", overwrite=False)
    check_output(tmp_path / "result", overwrite=True)


def test_check_output_refuses_a_file_and_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(OutputError, match="is a file or a link"):
            check_output(tmp_path / name, overwrite=True)


@pytest.fixture
def precious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Folders that hold what no run may replace."""
    folders = {name: tmp_path / name for name in ("home/me", "work/here", "checkout")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "a.txt").touch()
    (folders["checkout"] / ".git").mkdir()
    monkeypatch.setenv("HOME", str(folders["home/me"]))
    monkeypatch.setenv("USERPROFILE", str(folders["home/me"]))
    monkeypatch.chdir(folders["work/here"])
    return folders


@pytest.mark.parametrize("name", ["home/me", "home", "~", "work/here", "work", ".", "..", "checkout", "/"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_check_output_never_allows_what_is_precious(
    precious: dict[str, Path], tmp_path: Path, name: str, overwrite: bool
) -> None:
    folder = Path(name) if name in {"~", ".", "..", "/"} else tmp_path / name
    with pytest.raises(OutputError, match="is never overwritten"):
        check_output(folder, overwrite=overwrite)


def test_check_output_allows_a_folder_within_a_checkout(precious: dict[str, Path]) -> None:
    check_output(precious["checkout"] / "result", overwrite=False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_check_output_refuses_a_parent_that_can_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="can't be written"):
        check_output(tmp_path / "result", overwrite=False)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_clear_write_errors_names_the_target_of_a_forbidden_write(tmp_path: Path, number: int) -> None:
    with pytest.raises(OutputError, match=f"{tmp_path} can't be written"), clear_write_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_clear_write_errors_lets_other_errors_through(tmp_path: Path) -> None:
    for error in (ValueError("x"), DataError("y"), OSError(errno.EIO, "z")):
        with pytest.raises(type(error)) as caught, clear_write_errors(tmp_path):
            raise error
        assert caught.value is error
