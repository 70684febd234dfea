import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

from mixkd import cli
from mixkd.bench import bench
from mixkd.bench.config import BenchConfig
from mixkd.bench.report.files import read_report
from mixkd.corpus.corpus import Corpus, open_corpus
from mixkd.errors import BundleError, DataError, MeasureError, OutputError
from mixkd.runtime import open_bundle
from mixkd.runtime.bundle import seal_bundle
from mixkd.runtime.graph.wire import message
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from tests.runtime.test_graph import with_more

QUICK = BenchConfig(samples=16, block=8, curve_samples=0, resamples=100)
NEEDS_TORCH = "the teacher in PyTorch needs the compress extra"


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    """A bundle without its fp32 file, so that the student has to be found."""
    folder = tmp_path / "made" / "bundle"
    shutil.copytree(bundle, folder)
    manifest = open_bundle(folder).manifest
    (folder / "onnx" / "model.onnx").unlink()
    seal_bundle(folder, manifest)
    return folder


@pytest.fixture
def model_folder(bundle: Path, tmp_path: Path) -> Path:
    """A random BERT with the bundle's tokenizer and labels, in the opposite order."""
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path / "made" / "student"
    labels = reversed(open_bundle(bundle).manifest.labels)
    config = BertConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        id2label=dict(enumerate(labels)),
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bundle / name, folder / name)
    return folder


def names(
    folder: Path,
    corpus: Corpus,
    *,
    teacher: Path | None = None,
    student: Path | None = None,
    output: Path | None = None,
) -> dict[str, str | None]:
    """Return every variant's name with None, or the reason for its absence."""
    report = bench(folder, corpus, config=QUICK, teacher=teacher, student=student, output=output)
    return {row.label: None for row in report.rows} | {a.label: a.reason for a in report.absent}


def test_bundle_alone_is_measured_and_the_rest_absent(copied: Path, corpus: Corpus) -> None:
    found = names(copied, corpus)
    assert found["student-int8"] is None
    assert "--teacher" in str(found["teacher-torch"])
    assert "--student" in str(found["student-fp32"])


def test_fp32_file_of_the_bundle_is_the_fp32_student(bundle: Path, corpus: Corpus) -> None:
    assert names(bundle, corpus)["student-fp32"] is None


@pytest.mark.slow
def test_five_variants_of_a_bundle_with_teacher_and_student(
    copied: Path, model_folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    found = names(copied, corpus, teacher=model_folder, student=model_folder, output=tmp_path / "report")
    assert list(found.items()) == [
        ("teacher-torch", None),
        ("teacher-onnx", None),
        ("teacher-int8", None),
        ("student-fp32", None),
        ("student-int8", None),
    ]
    report = read_report(tmp_path / "report" / "report.json")
    assert [step.name for step in report.steps] == ["runtime", "architecture", "precision", "total"]
    # The same weights in PyTorch and in ONNX answer alike, whatever the order of their labels.
    for label in ("teacher-onnx", "student-fp32"):
        row = report.row(label)
        assert row is not None
        assert row.quality.agreement is not None
        assert row.quality.agreement.value == 1
        assert row.quality.kl_nats is not None
        assert row.quality.kl_nats.value < 1e-6
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        ".mkd",
        "report.json",
        "report.html",
        "report.md",
    }


def test_path_in_a_manifest_is_never_followed(
    copied: Path, model_folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    # Beside the bundle, outside of it, and with the right digest: a stranger's bundle may say any of that.
    digest = sha256((model_folder / "model.safetensors").read_bytes()).hexdigest()
    for recorded in ("../student", str(model_folder)):
        provenance = {"student": recorded, "student_sha256": digest}
        seal_bundle(copied, replace(open_bundle(copied).manifest, provenance=provenance))
        assert "name the student with --student" in str(names(copied, corpus)["student-fp32"])


@pytest.mark.slow
def test_teacher_with_the_default_label_names_is_measured(
    copied: Path, model_folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    manifest = open_bundle(copied).manifest
    labels = tuple(f"LABEL_{i}" for i in range(len(manifest.labels)))
    seal_bundle(copied, replace(manifest, labels=labels))
    config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
    del config["id2label"], config["label2id"]
    config["num_labels"] = len(labels)
    (model_folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    texts = tmp_path / "test.tsv"
    texts.write_text("text\tlabel\npay my bill\tLABEL_0\nwake me up\tLABEL_1\n", encoding="utf-8")
    found = names(copied, open_corpus(texts), teacher=model_folder)
    assert found["teacher-torch"] is None
    assert found["teacher-onnx"] is None


def test_teacher_with_other_labels_is_absent_with_the_label(
    copied: Path, model_folder: Path, corpus: Corpus
) -> None:
    config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
    config["id2label"]["0"] = "elsewhere"
    (model_folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = names(copied, corpus, teacher=model_folder)
    assert "different labels" in str(found["teacher-torch"])


def test_unknown_label_in_the_data_ends_it_and_writes_nothing(copied: Path, tmp_path: Path) -> None:
    data = tmp_path / "test.tsv"
    data.write_text("text\tlabel\nhello\tnowhere\n", encoding="utf-8")
    with pytest.raises(DataError, match="'nowhere'"):
        names(copied, open_corpus(data), output=tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_occupied_output_is_refused_before_anything_runs(
    copied: Path, corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(OutputError, match=r"holds mine\.txt"):
        names(copied, corpus, output=tmp_path / "report")


def test_command_prints_table_and_path_and_shows_no_progress_on_stdout(
    bundle: Path, rows: list[str], tmp_path: Path
) -> None:
    (tmp_path / "test.tsv").write_text("text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    command = ["bench", str(bundle), "--data", str(tmp_path), "--output", str(tmp_path / "report"), "--quick"]
    done = subprocess.run(
        [sys.executable, "-m", "mixkd.cli", *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CI": ""},
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == f"report: {tmp_path / 'report' / 'report.html'}"
    assert any(line.startswith("student-int8") for line in lines)
    assert "teacher-torch is absent" in done.stderr


def test_command_tells_where_onnxruntime_is_old(
    bundle: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("mixkd.runtime.session.LOWEST_FOR_STRANGERS", (999, 0, 0))
    command = [
        "mkd",
        "bench",
        str(bundle),
        "--data",
        str(data),
        "--output",
        str(tmp_path / "report"),
        "--quick",
    ]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert "local: onnxruntime 1." in capsys.readouterr().err


def mkd_bench(bundle: Path, data: Path, output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["bench", str(bundle), "--data", str(data), "--output", str(output), "--samples", "16"]
    return subprocess.run(
        [sys.executable, "-m", "mixkd.cli", *command, "--curve-samples", "0", *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def data(rows: list[str], tmp_path: Path) -> Path:
    (tmp_path / "test.tsv").write_text("text\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "test.tsv"


def test_another_bundle_is_measured_beside_the_first(bundle: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "candidate")
    done = mkd_bench(bundle, data, tmp_path / "report", "--also", str(tmp_path / "candidate"))
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "report" / "report.json")
    assert [row.label for row in report.rows] == ["student-fp32", "student-int8", "candidate"]
    row = report.row("candidate")
    assert row is not None
    assert row.latency is not None
    # It is the same file: whatever the reference, both agree with it alike.
    int8 = report.row("student-int8")
    assert int8 is not None
    assert row.quality.agreement == int8.quality.agreement


def test_another_bundle_with_other_labels_is_refused(bundle: Path, corpus: Corpus, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    manifest = open_bundle(other).manifest
    seal_bundle(other, replace(manifest, labels=tuple(f"{name}?" for name in manifest.labels)))
    with pytest.raises(BundleError, match="has other labels than"):
        bench(bundle, corpus, config=QUICK, also=(other,))


@pytest.mark.slow
def test_strict_run_is_refused_beside_a_busy_process(bundle: Path, data: Path, tmp_path: Path) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = mkd_bench(bundle, data, tmp_path / "report", "--strict", "--min-seconds", "0.3")
    finally:
        busy.kill()
        busy.wait()
    assert done.returncode == 1
    assert "the run was disturbed: other processes kept" in done.stderr
    assert not (tmp_path / "report").exists()


def test_device_without_torch_measures_the_bundle_and_says_what_is_absent(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    labels = open_bundle(bundle).manifest.labels
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}), encoding="utf-8")
    words = ["mkd", "bench", str(bundle), "--data", str(data), "--teacher", str(teacher)]
    words += ["--output", str(tmp_path / "report"), "--quick"]
    absent = ("torch", "transformers", "optimum", "onnx", "datasets", "accelerate")
    code = f"import sys\nsys.modules.update(dict.fromkeys({absent}))\nsys.argv = {words}\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}from mixkd.cli import main\nmain()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [row.label for row in read_report(tmp_path / "report" / "report.json").rows] == [
        "student-fp32",
        "student-int8",
    ]
    assert 'teacher-torch is absent: this needs the package torch: pip install "mixkd[' in done.stderr


def test_no_module_of_the_package_hides_the_function() -> None:
    code = (
        "import mixkd.bench.commands, mixkd.bench.run; from mixkd.bench import bench; print(callable(bench))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert find_spec("mixkd.bench.bench") is None


def test_bundle_whose_graph_reads_another_file_is_not_loaded(
    bundle: Path, corpus: Corpus, tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(bundle, folder)
    entry = message(13, message(1, b"location") + message(2, b"../../secret.bin"))
    weights = message(8, b"weights") + entry + b"\x70\x01"
    for name in (FP32_FILE, INT8_FILE):
        (folder / name).write_bytes(with_more((folder / name).read_bytes(), message(5, weights)))
    seal_bundle(folder, open_bundle(bundle).manifest)
    with pytest.raises(MeasureError, match=r"student-fp32: .*a graph holds its weights itself"):
        bench(folder, corpus, config=QUICK)
