"""Students with a real vocabulary, and what their exports hold and answer; a program, for other packages."""

import json
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from mixkd.compress.checkpoints import load_classifier, load_tokenizer, load_with_new_head
from mixkd.compress.config import MINILM
from mixkd.compress.locate import find_model
from mixkd.corpus.corpus import open_corpus
from mixkd.export import ExportConfig, Exporter, export
from mixkd.export.sessions import session_of
from mixkd.labels import LabelSpace
from mixkd.runtime import Classifier
from mixkd.runtime.manifest import FP32_FILE
from mixkd.task import Task
from tests.tiny import ENCODERS, SEGMENTED, tiny_classifier

STUDENTS = (*ENCODERS, "minilm")
TEXTS = [example.text for example in islice(open_corpus("clinc150").read("test"), 600)]


ROUNDING = 1e-5
REWRITES = {
    # nodes that compute one position, position tables that are sliced, attentions, those of them in one node
    "bert": (26, 1, 2, 2),
    "roberta": (26, 0, 2, 2),
    "xlm-roberta": (26, 0, 2, 2),
    "distilbert": (26, 1, 2, 2),
    "electra": (26, 1, 2, 2),
    "albert": (29, 1, 2, 2),
    "mpnet": (27, 0, 2, 0),
    "deberta-v2": (17, 0, 2, 0),
    "modernbert": (11, 0, 2, 0),
    "minilm": (26, 1, 6, 6),
}


def write_real_student(folder: Path, kind: str) -> Path:
    """Write a random classifier of an encoder, or MiniLM with a random head, and MiniLM's tokenizer."""
    pretrained = find_model(MINILM)
    if kind == "minilm":
        torch.manual_seed(7)
        space = LabelSpace(Task.SINGLE_LABEL, tuple(f"label-{i}" for i in range(20)))
        model = load_with_new_head(pretrained, space)
        with torch.no_grad():
            model.get_parameter("classifier.weight").normal_(std=0.3)
    else:
        model = tiny_classifier(kind, vocab_size=load_tokenizer(pretrained).vocab_size)
    tokenizer = load_tokenizer(pretrained)
    segments = ["token_type_ids"] * (model.config.model_type in SEGMENTED)
    names = ["input_ids", *segments, "attention_mask"]
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def exported(student: Path, bundle: Path, exporter: Exporter) -> dict[str, Any]:
    """Export a student, and return what the rewrites did and how the graphs answer.

    Returns:
        As JSON values: ``rewrites``; ``difference``, the largest between the logits of the fp32 graph and of
        PyTorch; ``scores`` of `TEXTS` by int8, (N, C), and their ``labels``, the number of the highest.
    """
    made = export(student, bundle, config=ExportConfig(exporter=exporter, keep_fp32=True), overwrite=True)
    details = json.loads((bundle / "export.json").read_text(encoding="utf-8"))
    limit = made.bundle.manifest.max_length
    scores = Classifier.load(bundle).predict_proba(TEXTS)
    return {
        "rewrites": details["rewrites"],
        "difference": _largest_difference(student, bundle / FP32_FILE, limit),
        "scores": scores.tolist(),
        "labels": scores.argmax(axis=1).tolist(),
    }


def check_rewrites(kind: str, made: Mapping[str, Any]) -> None:
    """Check that a student's export has every rewrite of its encoder, and PyTorch's logits."""
    names = ("narrowed", "position_tables", "attentions", "fused_attentions")
    assert tuple(made["rewrites"][name] for name in names) == REWRITES[kind]
    assert made["rewrites"]["exact"]
    assert made["difference"] <= ROUNDING


def _largest_difference(student: Path, file: Path, limit: int) -> float:
    model, graph = load_classifier(student, attention="eager"), onnx.load(file)
    session, rng, worst = session_of(graph), np.random.default_rng(1), 0.0
    for batch in (1, 7):
        for length in (1, 2, 13, limit):
            mask = np.ones((batch, length), np.int64)
            mask[1:2, length // 2 + 1 :] = 0
            ids = rng.integers(5, 20000, (batch, length))
            arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids}
            feed = {value.name: arrays[value.name] for value in graph.graph.input}
            with torch.inference_mode():
                logits = model(**{name: torch.from_numpy(array) for name, array in feed.items()}).logits
            expected: NDArray[np.float32] = logits.numpy()
            worst = max(worst, float(np.abs(expected - session.run(["logits"], feed)[0]).max()))
    return worst


def main() -> None:
    """Print, as JSON, what the exports of the students in a folder hold and answer."""
    folder = Path(sys.argv[1])
    found = {kind: exported(folder / kind, folder / f"{kind}.bundle", Exporter.AUTO) for kind in STUDENTS}
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
