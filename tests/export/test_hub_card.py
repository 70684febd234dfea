"""The card's metadata, read by huggingface_hub's own parser."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCard

from mixkd.errors import ConfigError
from mixkd.export import ExportConfig, export
from mixkd.export.lineage import Lineage, lineage_of
from mixkd.runtime import open_bundle
from tests.tools import install_into


def card_of(bundle: Path) -> ModelCard:
    card: ModelCard = ModelCard.load(bundle / "README.md")
    return card


def metadata_of(card: ModelCard) -> dict[str, Any]:
    found: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    return found


@pytest.fixture(scope="module")
def bundle(student: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "intents"
    config = ExportConfig(license="apache-2.0", language=("en", "no"))
    export(student, folder, data=data, config=config)
    return folder


def test_the_hub_reads_the_licence_the_languages_and_the_task(bundle: Path) -> None:
    read: Any = card_of(bundle).data
    assert (read.license, read.language) == ("apache-2.0", ["en", "no"])
    assert (read.library_name, read.pipeline_tag) == ("mixkd", "text-classification")
    assert read.tags == ["mixkd", "onnx", "int8", "distillation"]
    assert (read.base_model, read.datasets) == (None, None)


def test_the_hub_reads_the_measured_numbers(bundle: Path) -> None:
    measured = open_bundle(bundle).manifest.quality
    read = card_of(bundle)
    data: Any = read.data
    assert data.eval_results == [
        EvalResult(
            task_type="text-classification",
            dataset_type="data",
            dataset_name="data",
            dataset_split="test",
            metric_type="accuracy",
            metric_name="accuracy, int8, 60 texts",
            metric_value=round(measured["int8"], 6),
        )
    ]
    assert data.model_name == "intents"
    # Read and written again, it is the same: nothing was dropped or repaired.
    assert metadata_of(ModelCard(str(read))) == metadata_of(read)
    assert read.text.lstrip().startswith("# intents\n")


def test_without_data_or_options_nothing_unknown_is_claimed(student: Path, tmp_path: Path) -> None:
    export(student, tmp_path / "b")
    read = metadata_of(card_of(tmp_path / "b"))
    assert read == {
        "library_name": "mixkd",
        "pipeline_tag": "text-classification",
        "tags": ["mixkd", "onnx", "int8", "distillation"],
    }


@pytest.mark.slow
def test_an_older_hub_client_reads_the_same(bundle: Path, tmp_path: Path) -> None:
    install_into(tmp_path, "huggingface_hub==0.36.2")
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[2])\n"
        "from huggingface_hub import ModelCard, __version__; assert __version__ == '0.36.2'\n"
        "print(json.dumps(ModelCard.load(sys.argv[1]).data.to_dict()))"
    )
    command = [sys.executable, "-c", program, str(bundle / "README.md"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == metadata_of(card_of(bundle))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"license": "Apache 2"}, "--license must be a name of the hub's"),
        ({"license": "mit\nevil: 1"}, "--license must be a name of the hub's"),
        ({"language": ("english",)}, "--language must be a code of two or three letters"),
    ],
)
def test_what_the_hub_would_not_read_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ExportConfig(**options)  # type: ignore[arg-type]


def write_run(folder: Path, *, data: str, **given: object) -> Path:
    folder.mkdir(parents=True)
    run = {"inputs": {}, "config": {}, "data": {"name": data}, **given}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder


def test_lineage_goes_through_student_and_teacher_to_the_hub(tmp_path: Path) -> None:
    base = "sentence-transformers/all-MiniLM-L6-v2"
    teacher = write_run(tmp_path / "teacher", data="org/pairs:en", inputs={"model": base})
    student = write_run(tmp_path / "student", data="org/intents", inputs={"teacher": str(teacher)})
    assert lineage_of(student) == Lineage(base, ("org/intents", "org/pairs"))
    other = write_run(
        tmp_path / "other", data="mydata", inputs={"teacher": str(teacher)}, config={"student": base}
    )
    assert lineage_of(other) == Lineage(base)


def test_lineage_names_no_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    student = write_run(tmp_path / "student", data="mydata", inputs={"teacher": "models/teacher"})
    assert lineage_of(student) == Lineage()
    itself = write_run(tmp_path / "itself", data="mydata", inputs={"teacher": str(tmp_path / "itself")})
    assert lineage_of(itself) == Lineage()
