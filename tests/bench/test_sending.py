"""What is sent to a device: plain files, whole."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mixkd.bench.targets.pipes import Child, Limits
from mixkd.bench.targets.sending import send_files
from mixkd.errors import MeasureError

MAKERS: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to(path.with_name("secret")),
    "dangling": lambda path: path.symlink_to(path.with_name("nowhere")),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "absent": lambda _: None,
}


def send(files: dict[str, Path], folder: Path, *, follow_links: bool) -> None:
    with Child(["tar", "-xf", "-", "-C", str(folder)], limits=Limits()) as child:
        send_files(files, child, follow_links=follow_links)
        child.close_input()
        assert child.wait_in_time() == 0, child.said()


@pytest.mark.parametrize("kind", MAKERS)
def test_only_plain_files_are_sent(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of the user")
    path = tmp_path / "file"
    MAKERS[kind](path)
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(MeasureError, match=r"file (is a link|is not a plain file|can't be read)"):
        send({"sent": path}, there, follow_links=False)
    assert list(there.iterdir()) == []


def test_files_arrive_as_they_are(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    contents = {"empty": b"", "small": b"x", "folder/large": os.urandom(3_000_000)}
    files = {name: tmp_path / name.replace("/", "_") for name in contents}
    for name, path in files.items():
        path.write_bytes(contents[name])
    link = tmp_path / "link"
    link.symlink_to(files["small"])
    send({**files, "linked": link}, there, follow_links=True)
    assert {name: (there / name).read_bytes() for name in contents} == contents
    assert (there / "linked").read_bytes() == b"x"
    assert not (there / "linked").is_symlink()
