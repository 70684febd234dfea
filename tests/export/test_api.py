"""The export as a library: one function, found under the package's own name."""

import subprocess
import sys
from pathlib import Path

import pytest

from mixkd.errors import ModelError
from mixkd.export import ExportConfig, ExportResult, Recipe, export
from mixkd.runtime import Classifier
from tests.tiny import tiny_classifier, write_student

EVIL = """
from pathlib import Path
from transformers import BertConfig, BertForSequenceClassification
Path(__file__).with_name("ran").touch()
class Config(BertConfig): pass
class Model(BertForSequenceClassification): pass
"""


def test_export_takes_paths_and_returns_what_was_measured(student: Path, data: Path, tmp_path: Path) -> None:
    result = export(
        str(student), str(tmp_path / "bundle"), data=str(data), config=ExportConfig(recipe=(Recipe.FAST,))
    )
    assert isinstance(result, ExportResult)
    assert result.quality is not None
    assert result.quality.student == 1
    assert result.bundle.manifest.recipe == "fast"
    assert Classifier.load(result.bundle.folder).predict("bada").label.startswith("label-")


def test_progress_counts_the_steps(student: Path, data: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    export(student, tmp_path / "bundle", data=data, progress=lambda *step: told.append(step))
    assert [(what, done) for what, done, _ in told] == [
        ("loading the student", 0),
        ("answering with PyTorch", 1),
        ("converting to ONNX", 2),
        ("quantizing to int8", 3),
        ("measuring the graphs", 4),
        ("", 6),
    ]
    assert {total for _, _, total in told} == {6}


def test_name_of_the_package_stays_a_function_whatever_was_imported_before() -> None:
    program = (
        "import mixkd.export.commands, mixkd.export.stage, mixkd.export.graph.rewrite\n"
        "from mixkd.export import export\n"
        "assert callable(export), export"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_import_without_the_extra_says_what_to_install() -> None:
    program = "import sys; sys.modules['onnx'] = None\nfrom mixkd.export import export"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith('this needs the package onnx: pip install "mixkd[export]"')


@pytest.mark.parametrize("named_in", ["config.json", "tokenizer_config.json"])
def test_code_in_a_students_folder_is_never_run(
    tmp_path: Path, named_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A standard input that says yes to every question.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder = write_student(tmp_path / "student", tiny_classifier("bert"))
    (folder / "evil.py").write_text(EVIL, encoding="utf-8")
    code = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    if named_in == "tokenizer_config.json":
        code = {"AutoTokenizer": ["evil.Config", "evil.Config"]}  # type: ignore[dict-item]  # slow, fast
    file = folder / named_in
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("{", '{"auto_map": ' + str(code).replace("'", '"') + ",", 1), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="needs Python code of its own"):
        export(folder, tmp_path / "bundle")
    assert not (folder / "ran").exists()
    assert not (tmp_path / "bundle").exists()
