"""Make the tiny bundle that the runtime's tests answer from: a random 2-layer BERT, fp32 and int8.

The tests run where torch is not installed, so the bundle is committed; run this again only when the bundle's
format changes, and commit what it wrote.
"""

import shutil
import string
import tempfile
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from mixkd.runtime.bundle import FP32_FILE, INT8_FILE, Manifest, Precision, Task, seal_bundle

FOLDER = Path(__file__).parent.parent / "tests" / "runtime" / "fixtures" / "bundle"
LABELS = ("balance", "transfer", "weather", "alarm", "out_of_scope")
WORDS = "the a my to is what of in please send pay show set tell me money account rain sun today wake up at"
MAX_LENGTH = 32


def main() -> None:
    """Write the bundle, replacing the one that stands there."""
    with tempfile.TemporaryDirectory() as scratch:
        student = Path(scratch, "student")
        write_student(student)
        main_export(
            str(student),
            Path(scratch, "onnx"),
            task="text-classification",
            library_name="transformers",
            opset=20,
        )
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(student / name, FOLDER / name)
        (FOLDER / "onnx").mkdir()
        shutil.copy(Path(scratch, "onnx", "model.onnx"), FOLDER / FP32_FILE)
    quantize_dynamic(
        FOLDER / FP32_FILE,
        FOLDER / INT8_FILE,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
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
    """Write a random student whose answers differ from text to text, and its tokenizer."""
    torch.manual_seed(0)
    vocabulary = vocabulary_pieces()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.5,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=MAX_LENGTH).save_pretrained(folder)


def vocabulary_pieces() -> list[str]:
    """Return the special tokens, every ASCII letter and digit, some punctuation and some words."""
    characters = string.ascii_lowercase + string.digits
    return [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *characters,
        *(f"##{character}" for character in characters),
        *".,?!'",
        *(word for word in WORDS.split() if len(word) > 1),
    ]


if __name__ == "__main__":
    main()
