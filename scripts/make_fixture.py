"""Make the tiny bundle that the runtime's tests answer from: a 2-layer BERT 16 wide, fp32 and int8.

The tests run where torch is not installed, so the bundle is committed; run this again only when the bundle's
format changes, and commit what it wrote.
"""

import shutil
import string
import tempfile
from pathlib import Path

import onnx
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from mixkd.export.config import Recipe, TableFormat
from mixkd.export.convert import convert
from mixkd.export.graph.probabilities import add_probabilities
from mixkd.export.graph.rewrite import rewrite
from mixkd.export.int8.quantize import quantize
from mixkd.export.student import open_student
from mixkd.runtime.bundle import seal_bundle
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE, Manifest, Precision
from mixkd.task import Task

FOLDER = Path(__file__).parent.parent / "tests" / "runtime" / "fixtures" / "bundle"
TEXTS = {
    "balance": ("what is my balance", "show me the balance of my account", "tell me the money in my account"),
    "transfer": ("send my money to the account", "pay the account of paris", "pay", "please send money"),
    "weather": (
        "what is the weather in paris today",
        "is it going to rain",
        "tell me of the rain",
        "sun today",
    ),
    "alarm": ("wake me up at 7", "set the alarm", "please wake me", "set it to wake me up at 9"),
    "out_of_scope": ("tell me what to put on", "", "hello", "is it 42", "the sun is up in my account"),
}
LABELS = tuple(TEXTS)
STEPS = 150
MAX_LENGTH = 32


def main() -> None:
    """Write the bundle, replacing the one that stands there."""
    with tempfile.TemporaryDirectory() as scratch:
        student = Path(scratch, "student")
        write_student(student)
        opened = open_student(student, max_length=MAX_LENGTH)
        traced = convert(opened.model, opened.inputs, max_length=MAX_LENGTH)
        graph, _ = rewrite(traced, max_length=MAX_LENGTH)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(student / name, FOLDER / name)
        (FOLDER / "onnx").mkdir()
        add_probabilities(graph, Task.SINGLE_LABEL)
        onnx.save(graph, FOLDER / FP32_FILE)
        onnx.save(quantize(graph, Recipe.PORTABLE, tables=TableFormat.INT8).model, FOLDER / INT8_FILE)
    seal_bundle(
        FOLDER,
        Manifest(
            task=Task.SINGLE_LABEL,
            labels=LABELS,
            max_length=MAX_LENGTH,
            inputs=("input_ids", "attention_mask", "token_type_ids"),
            model_file=INT8_FILE,
            precision=Precision.INT8,
            recipe="fixture",
        ),
    )


def write_student(folder: Path) -> None:
    """Write a student that has learnt `TEXTS` by heart, and its tokenizer."""
    torch.manual_seed(0)
    vocabulary = vocabulary_pieces()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.2,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=MAX_LENGTH)
    tokenizer.save_pretrained(folder)
    student = BertForSequenceClassification(config)
    learn(student, tokenizer)
    student.save_pretrained(folder)


def learn(student: BertForSequenceClassification, tokenizer: BertTokenizerFast) -> None:
    """Fit the student to `TEXTS`."""
    texts = [text for group in TEXTS.values() for text in group]
    labels = torch.tensor([LABELS.index(label) for label, group in TEXTS.items() for _ in group])
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-3)
    for _ in range(STEPS):
        loss = student(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def vocabulary_pieces() -> list[str]:
    """Return the special tokens, every ASCII letter and digit, some punctuation and some words."""
    characters = string.ascii_lowercase + string.digits
    return [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *characters,
        *(f"##{character}" for character in characters),
        *".,?!'",
        *sorted(
            {word for group in TEXTS.values() for text in group for word in text.split()} - {*characters}
        ),
    ]


if __name__ == "__main__":
    main()
