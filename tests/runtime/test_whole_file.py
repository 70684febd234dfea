import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixkd.errors import OutputError
from mixkd.outputs import whole_file


def test_whole_file_appears_whole_and_with_the_umask_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    before = os.umask(0o027)
    try:
        with whole_file(path) as file:
            file.write("a\n\u00e4")
            assert not path.exists()
    finally:
        os.umask(before)
    assert path.read_bytes() == b"a\n\xc3\xa4"
    assert [path.name for path in path.parent.iterdir()] == ["a.txt"]
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whole_file_leaves_what_was_there_when_the_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with whole_file(path) as file:
            file.write("half")
            raise error("stop")

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_whole_file_replaces_a_link_and_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "a.txt").symlink_to(tmp_path / "precious")
    with whole_file(tmp_path / "a.txt") as file:
        file.write("new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "new"


def test_whole_file_never_takes_a_name_that_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever may write in the folder could guess a name and lay a link there.
    monkeypatch.setattr("mixkd.temporaries.os.urandom", bytes)
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.txt.mkd-00000000.partial").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="exists"), whole_file(tmp_path / "a.txt") as file:
        file.write("new")
    assert (tmp_path / "precious").read_text() == "mine"


def test_whole_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="is a folder"), whole_file(tmp_path / "folder"):
        pass


WRITER = """
import sys
from pathlib import Path
from mixkd.outputs import whole_file
for _ in range(60):
    with whole_file(Path(sys.argv[1])) as file:
        file.write(sys.argv[2] * 100_000)
"""


def test_whole_file_of_two_writers_at_once_is_always_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as file:
        file.write("c" * 100_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter]) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        text = path.read_text()
        assert len(text) == 100_000
        assert len(set(text)) == 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_whole_file_says_that_a_name_is_too_long(tmp_path: Path) -> None:
    with whole_file(tmp_path / ("\u00e4" * 120 + ".jsonl")) as file:  # 246 bytes: room for itself alone
        file.write("fits")
    with pytest.raises(OutputError, match="the name is too long"), whole_file(tmp_path / ("x" * 300)):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from mixkd.outputs import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write("half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, path], check=False).returncode == -9
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("old", 2)
    with whole_file(path) as file:
        file.write("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
