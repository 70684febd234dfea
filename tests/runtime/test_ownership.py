"""Only a folder that mkd wrote, and that holds nothing else, is replaced."""

import json
import shutil
from pathlib import Path

import pytest

from mixkd.errors import OutputError
from mixkd.outputs import check_output, claim_folder, fresh_folder, resumable_folder
from mixkd.ownership import MARKER_FILE, foreign_entry, mark
from mixkd.runtime.manifest import MANIFEST_FILE


def write_result(folder: Path, *files: str, overwrite: bool = False) -> None:
    with fresh_folder(folder, overwrite=overwrite) as temporary:
        for name in files:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(name)


def test_result_with_anything_else_in_it_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "results"
    write_result(target, "config.json", "runs/events")
    for mine in ("thesis.doc", "runs/notes.txt", "sub/deep/thesis.doc"):
        (target / mine).parent.mkdir(parents=True, exist_ok=True)
        (target / mine).write_text("mine")
        with pytest.raises(OutputError, match=f"holds {mine}, which mkd did not write"):
            write_result(target, "new.json", overwrite=True)
        assert (target / mine).read_text() == "mine"
        assert (target / "config.json").read_text() == "config.json"
        (target / mine).unlink()
    write_result(target, "new.json", overwrite=True)
    assert sorted(path.name for path in target.iterdir()) == [MARKER_FILE, "new.json"]


def test_folder_without_a_list_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "run.json").write_text("{}")
    with pytest.raises(OutputError, match=r"holds run\.json, which mkd did not write"):
        check_output(tmp_path / "results", overwrite=True)


@pytest.mark.parametrize(
    "body", ["", "{}", "[" * 100_000, '{"files": 3}', '{"files": null}', '{"files": [["thesis.doc"]]}']
)
def test_list_that_is_damaged_lists_nothing(tmp_path: Path, body: str) -> None:
    (tmp_path / MARKER_FILE).write_text(body)
    (tmp_path / "thesis.doc").write_text("mine")
    assert foreign_entry(tmp_path) is not None


def test_links_are_never_mkds(tmp_path: Path) -> None:
    target = tmp_path / "results"
    write_result(target, "a.txt")
    (target / "a.txt").unlink()
    (target / "a.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"holds a\.txt"):
        check_output(target, overwrite=True)
    (target / "a.txt").unlink()
    (target / MARKER_FILE).rename(tmp_path / "list")
    (target / MARKER_FILE).symlink_to(tmp_path / "list")
    with pytest.raises(OutputError, match=f"holds {MARKER_FILE}"):
        check_output(target, overwrite=True)


def test_what_is_put_there_during_the_work_stays(tmp_path: Path) -> None:
    target = tmp_path / "results"
    write_result(target, "old.txt")

    def work() -> None:
        with fresh_folder(target, overwrite=True):
            (target / "thesis.doc").write_text("mine")

    with pytest.raises(OutputError, match=r"thesis\.doc"):
        work()
    assert (target / "thesis.doc").read_text() == "mine"
    assert (target / "old.txt").exists()


def test_manifest_is_the_list_of_a_bundle(tmp_path: Path, bundle: Path) -> None:
    assert MANIFEST_FILE == "mkd.json"  # which mixkd.ownership knows by its name
    target = tmp_path / "bundle"
    with fresh_folder(target) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
    assert not (target / MARKER_FILE).exists()
    check_output(target, overwrite=True)
    (target / "onnx" / "thesis.doc").write_text("mine")
    with pytest.raises(OutputError, match=r"onnx/thesis\.doc"):
        check_output(target, overwrite=True)


def test_claimed_folder_is_replaceable_with_its_parts_and_what_killed_runs_left(tmp_path: Path) -> None:
    target = tmp_path / "quickstart"
    claim_folder(target, ["asked.json"], overwrite=False)
    (target / "asked.json").touch()
    write_result(target / "students" / "2-layers", "model.safetensors")
    (target / "students" / ".3-layers.mkd-0123abcd.partial").mkdir()
    (target / "students" / ".3-layers.mkd-0123abcd.partial" / "half").touch()

    def interrupted() -> None:
        with resumable_folder(target / "4", overwrite=False, resume=False, keep="step-*") as work:
            (work / "step-1").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (target / "4.partial" / "step-1").exists()
    assert foreign_entry(target) is None
    claim_folder(target, ["asked.json"], overwrite=True)
    (target / "students" / "2-layers" / "thesis.doc").touch()
    with pytest.raises(OutputError, match=r"students/2-layers/thesis\.doc"):
        claim_folder(target, [], overwrite=True)


def test_list_can_not_name_a_file_outside(tmp_path: Path) -> None:
    (tmp_path / "results" / "sub").mkdir(parents=True)
    mark(tmp_path / "results" / "sub", ["../thesis.doc"])
    (tmp_path / "results" / "thesis.doc").touch()
    assert foreign_entry(tmp_path / "results") == tmp_path / "results" / "thesis.doc"


def test_list_names_every_file(tmp_path: Path) -> None:
    write_result(tmp_path / "results", "b", "a/c")
    body = json.loads((tmp_path / "results" / MARKER_FILE).read_text())
    assert body["files"] == ["a/c", "b"]
